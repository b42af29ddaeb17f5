// Assistants and threads with the official JavaScript client.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";

import { names } from "./support/names.js";
import { assistants, shared } from "./support/server.js";
import { test } from "./support/test.js";

const { client, url } = await shared();

test("each graph has an assistant", async () => {
  assert.deepEqual(names()(await client.assistants.get(assistants.simple)), {
    assistant_id: "<assistant simple>",
    graph_id: "simple",
    config: {},
    context: {},
    metadata: { created_by: "system" },
    name: "simple",
    created_at: "<time>",
    updated_at: "<time>",
    version: 1,
    description: "Two nodes in a row",
  });
});

test("assistants are created, found, changed and deleted", async () => {
  const mark = { mark: randomUUID() };
  const made = await client.assistants.create({ graphId: "simple", metadata: mark, name: "From JS", config: { tags: ["t"] } });
  assert.equal(made.name, "From JS");
  assert.deepEqual(await client.assistants.search({ metadata: mark }), [made]);
  assert.equal(await client.assistants.count({ metadata: mark }), 1);
  const changed = await client.assistants.update(made.assistant_id, { metadata: { more: 1 } });
  assert.deepEqual([changed.metadata, changed.version, changed.config], [{ ...mark, more: 1 }, 2, { tags: ["t"] }]);
  await client.assistants.delete(made.assistant_id);
  await assert.rejects(client.assistants.get(made.assistant_id), { status: 404 });
});

test("a graph can be drawn and described", async () => {
  const drawing = await client.assistants.getGraph("simple");
  assert.deepEqual(
    drawing.nodes.map((node) => node.id),
    ["__start__", "a", "b", "__end__"],
  );
  const schemas = await client.assistants.getSchemas(assistants.simple);
  assert.deepEqual(Object.keys(schemas.input_schema.properties), ["foo", "log"]);
});

test("threads are created, found, changed and deleted", async () => {
  const mark = { mark: randomUUID() };
  const thread = await client.threads.create({ metadata: mark });
  const { interrupts: _, ...shown } = names()(thread); // The reference server leaves interrupts out until there were some.
  assert.deepEqual(shown, {
    thread_id: "<thread 1>",
    created_at: "<time>",
    updated_at: "<time>",
    state_updated_at: "<time>",
    metadata: { mark: "<id 1>" },
    status: "idle",
    config: {},
    values: null,
  });
  assert.deepEqual(await client.threads.get(thread.thread_id), thread);
  assert.deepEqual(await client.threads.create({ threadId: thread.thread_id, ifExists: "do_nothing" }), thread);
  await assert.rejects(client.threads.create({ threadId: thread.thread_id }), { status: 409 });
  await client.threads.update(thread.thread_id, { metadata: { more: 1 } });
  const found = await client.threads.search({ metadata: mark, status: "idle", sortBy: "created_at", sortOrder: "asc" });
  assert.deepEqual(
    found.map((each) => each.metadata),
    [{ ...mark, more: 1 }],
  );
  assert.equal(await client.threads.count({ metadata: mark }), 1);
  await client.threads.delete(thread.thread_id);
  await assert.rejects(client.threads.get(thread.thread_id), { status: 404 });
});

test("state and history are read and changed", async () => {
  const { thread_id } = await client.threads.create();
  await client.runs.wait(thread_id, "simple", { input: { foo: "x" } });
  const state = await client.threads.getState(thread_id);
  assert.deepEqual([state.values, state.next], [{ foo: "A", log: ["a", "b"] }, []]);
  const history = await client.threads.getHistory(thread_id);
  assert.deepEqual(
    history.map((entry) => [entry.metadata.step, entry.next]),
    [
      [2, []],
      [1, ["b"]],
      [0, ["a"]],
      [-1, ["__start__"]],
    ],
  );
  const older = await client.threads.getState(thread_id, history[1].checkpoint);
  assert.deepEqual(older.values, { foo: "A", log: ["a"] });

  await client.threads.updateState(thread_id, { values: { log: ["by hand"] }, asNode: "a" });
  const changed = await client.threads.getState(thread_id);
  assert.deepEqual([changed.values.log, changed.next], [["a", "b", "by hand"], ["b"]]);
});

test("a browser may read the headers that it needs", async () => {
  const answer = await fetch(`${url}/threads/search`, {
    method: "POST",
    headers: { origin: "http://front-end.example", "content-type": "application/json" },
    body: "{}",
  });
  assert.equal(answer.headers.get("access-control-allow-origin"), "*");
  const exposed = answer.headers.get("access-control-expose-headers").toLowerCase();
  for (const header of ["content-location", "x-pagination-total", "x-pagination-next"]) {
    assert.ok(exposed.includes(header), `${header} is not among ${exposed}`);
  }
});
