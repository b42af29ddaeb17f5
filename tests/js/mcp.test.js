// Assistants as tools, used by the official JavaScript client of the Model Context Protocol.

import assert from "node:assert/strict";

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

import { openGate } from "./support/gate.js";
import { shared } from "./support/server.js";
import { test } from "./support/test.js";

const { url } = await shared();
const DONE = { foo: "A", log: ["a", "b"] };

async function connected(body) {
  const client = new Client({ name: "tests", version: "1" });
  const transport = new StreamableHTTPClientTransport(new URL("/mcp", url));
  await client.connect(transport);
  try {
    await body(client, transport);
  } finally {
    await client.close();
  }
}

test("tools are listed with what they take", () =>
  connected(async (client) => {
    assert.deepEqual(client.getServerVersion(), { name: "LangGraph", version: "0.16.7" });
    const { tools } = await client.listTools();
    const { name, title, description, inputSchema } = tools.find((tool) => tool.name === "talks");
    assert.deepEqual([name, title, description], ["talks", "talks", "Says what it heard"]);
    assert.deepEqual(inputSchema, {
      properties: {
        messages: { type: "string", title: "Messages", description: "The user message to send to the agent." },
      },
      required: ["messages"],
      title: "MessagesState",
      type: "object",
    });
    assert.deepEqual(await client.ping(), {});
  }));

test("a call returns values, or what went wrong", () =>
  connected(async (client) => {
    assert.deepEqual(await client.callTool({ name: "simple", arguments: { foo: "x" } }), {
      content: [{ type: "text", text: JSON.stringify(DONE) }],
      structuredContent: DONE,
    });
    assert.deepEqual(await client.callTool({ name: "fails", arguments: { messages: "hello" } }), {
      content: [{ type: "text", text: "ValueError: kaboom" }],
      isError: true,
    });
    await assert.rejects(client.callTool({ name: "nobody" }), { code: -32602, message: /Unknown tool: nobody/ });
  }));

test("progress is told step by step", () =>
  connected(async (client) => {
    const told = [];
    const onprogress = ({ progress, message }) => told.push([progress, message]);
    await client.callTool({ name: "simple", arguments: { foo: "x" } }, undefined, { onprogress });
    assert.deepEqual(told, [
      [1, "a"],
      [2, "b"],
    ]);
  }));

test("a call that is given up is cancelled", (t) =>
  connected(async (client, transport) => {
    const gate = await openGate(t);
    const giveUp = new AbortController();
    const call = client.callTool({ name: "waiting", arguments: gate.input() }, undefined, { signal: giveUp.signal });
    const visitor = await gate.visitor();
    giveUp.abort("enough");
    await assert.rejects(call);
    await visitor.gone;
    await transport.terminateSession();
  }));
