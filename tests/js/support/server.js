// The server under test: starts the real binary on the Python project, waits for it, ends it.
// Another server is judged if AGENT_SERVER_TEST_URL names it.

import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { after } from "node:test";

let sdk;
try {
  sdk = await import("@langchain/langgraph-sdk");
} catch (cause) {
  throw new Error("the JavaScript SDK is not installed: run `cargo xtask env`", { cause });
}

// The tests may be reached through a link beside their packages.
const ROOT = join(realpathSync(import.meta.dirname), "../../..");
const START_MS = 60_000;

/** Path of a file that has to be there, or an error that says how to get it. */
function needed(variable, path, remedy) {
  const chosen = process.env[variable] ?? join(ROOT, path);
  if (!existsSync(chosen)) throw new Error(`${chosen} is not there: ${remedy}, or set ${variable}`);
  return chosen;
}

async function freePort() {
  const probe = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => probe.once("listening", resolve));
  const { port } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

/** A server on a data folder of its own. */
export class Server {
  #folder = mkdtempSync(join(tmpdir(), "agent-server-js-"));
  #process;
  #env;

  constructor(env = {}) {
    this.#env = env;
  }

  async start() {
    const binary = needed("AGENT_SERVER_BIN", "target/debug/agent-server", "run `cargo build -p agent-server`");
    const python = needed("AGENT_SERVER_TEST_PYTHON", "target/python/venv/bin/python", "run `cargo xtask env`");
    this.port ??= await freePort();
    this.url = `http://127.0.0.1:${this.port}`;
    const config = join(ROOT, "tests/python/project/langgraph.json");
    const data = join(this.#folder, "data");
    const log = openSync(this.#log, "a");
    this.#process = spawn(
      binary,
      ["dev", "--config", config, "--port", `${this.port}`, "--data-dir", data, "--python", python, "--no-reload", "--offline"],
      { stdio: ["ignore", log, log], env: { ...process.env, AGENT_SERVER_WORKERS: "2", ...this.#env } },
    );
    closeSync(log);
    try {
      await this.#answers("/ok");
      // Drawing a graph takes a worker that has loaded it.
      await this.#answers(`/assistants/${assistants.simple}/graph`);
    } catch (error) {
      await this.stop();
      throw error;
    }
    return this;
  }

  get #log() {
    return join(this.#folder, "server.log");
  }

  async #answers(path) {
    const deadline = Date.now() + START_MS;
    while (Date.now() < deadline && this.#process.exitCode === null) {
      const answer = await fetch(this.url + path).catch(() => undefined);
      await answer?.body?.cancel();
      if (answer?.status === 200) return;
      await pause(20);
    }
    throw new Error(`GET ${path} was not answered\n${readFileSync(this.#log, "utf8").slice(-4000)}`);
  }

  async #end(signal) {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#process.once("exit", resolve));
    this.#process.kill(signal);
    await ended;
  }

  /** kill -9, as a crash would be. */
  kill() {
    return this.#end("SIGKILL");
  }

  async stop() {
    await this.#end("SIGTERM");
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Ids of the assistants that the server makes for the graphs that are named here. */
export const assistants = { simple: "5e0f6b46-d00f-5af4-87dc-ea2105ff526d" };

/** The server that the tests of a file share, and an official client for it. */
export async function shared() {
  let url = process.env.AGENT_SERVER_TEST_URL;
  if (url === undefined) {
    const server = await new Server().start();
    after(() => server.stop());
    url = server.url;
  }
  return { url, client: connect(url) };
}

/** An official client. It must not repeat what was refused: a test wants to see the first answer. */
export function connect(url) {
  return new sdk.Client({ apiUrl: url, apiKey: null, callerOptions: { maxRetries: 0 } });
}
