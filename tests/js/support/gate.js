// A gate: graphs of gates.py knock at its Unix socket and go on when the test lets them.

import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

class Visitor {
  #socket;

  constructor(socket, hello) {
    this.#socket = socket;
    this.gone = new Promise((resolve) => socket.once("close", resolve));
    Object.assign(this, hello);
  }

  letIn(word = "passed") {
    this.#socket.end(`${word}\n`);
  }
}

/** Opens a gate for one test: `t` is its context. */
export async function openGate(t) {
  const folder = mkdtempSync(join(tmpdir(), "gate-"));
  const path = join(folder, "s");
  const arrived = [];
  const expected = [];
  const sockets = new Set();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("data", (line) => {
      const visitor = new Visitor(socket, JSON.parse(line));
      const waiter = expected.shift();
      if (waiter) waiter(visitor);
      else arrived.push(visitor);
    });
  }).listen(path);
  await new Promise((resolve) => server.once("listening", resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return {
    input: (name = "run", more = {}) => ({ gate: path, name, ...more }),
    /** The next node that arrives. */
    visitor: () => (arrived.length > 0 ? arrived.shift() : new Promise((resolve) => expected.push(resolve))),
  };
}
