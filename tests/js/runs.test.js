// Runs with the official JavaScript client.

import assert from "node:assert/strict";

import { openGate } from "./support/gate.js";
import { names, record } from "./support/names.js";
import { shared } from "./support/server.js";
import { test } from "./support/test.js";

const { client } = await shared();
const DONE = { foo: "A", log: ["a", "b"] };
const NO_RUN = "No matching runs to cancel.";

async function thread() {
  return (await client.threads.create()).thread_id;
}

test("waiting returns the final state", async () => {
  assert.deepEqual(await client.runs.wait(await thread(), "simple", { input: { foo: "x" } }), DONE);
  assert.deepEqual(await client.runs.wait(null, "simple", { input: { foo: "x" } }), DONE);
});

test("waiting for a run that fails rejects", async () => {
  const id = await thread();
  await assert.rejects(client.runs.wait(id, "errors", { input: { kind: "value" } }), /^Error: ValueError: bad value$/);
  assert.deepEqual(await client.runs.wait(id, "errors", { input: { kind: "boom" }, raiseError: false }), {
    __error__: { error: "Boom", message: "An internal error occurred" },
  });
});

test("the stream shows each mode", async () => {
  const stream = client.runs.stream(await thread(), "simple", { input: { foo: "x" }, streamMode: ["values", "updates"] });
  assert.deepEqual(await record(stream), [
    ["metadata", { run_id: "<run 1>", attempt: 1 }],
    ["values", { foo: "x", log: [] }],
    ["updates", { a: { foo: "A", log: ["a"] } }],
    ["values", { foo: "A", log: ["a"] }],
    ["updates", { b: { log: ["b"] } }],
    ["values", DONE],
  ]);
});

test("messages-tuple streams the tokens of a chat model", async () => {
  const input = { messages: [{ role: "user", content: "hi", id: "hi-1" }] };
  const stream = client.runs.stream(await thread(), "chat", { input, streamMode: "messages-tuple" });
  const [start, ...chunks] = await record(stream);
  assert.deepEqual(start, ["metadata", { run_id: "<run 1>", attempt: 1 }]);
  const message = {
    content: "hello",
    additional_kwargs: {},
    response_metadata: {},
    type: "AIMessageChunk",
    name: null,
    id: "ai-1",
    tool_calls: [],
    invalid_tool_calls: [],
    usage_metadata: null,
    tool_call_chunks: [],
    chunk_position: null,
  };
  const expected = ["hello", " ", "big", " ", "world"].map((content) => ({ ...message, content }));
  expected[4].chunk_position = "last";
  assert.deepEqual(
    chunks.map(([event, [chunk]]) => [event, chunk]),
    expected.map((chunk) => ["messages", chunk]),
  );
  assert.equal(chunks[0][1][1].langgraph_node, "call");
});

test("the client is told of the run when it is created", async () => {
  const told = [];
  const id = await thread();
  const stream = client.runs.stream(id, "simple", { input: { foo: "x" }, onRunCreated: (run) => told.push(run) });
  const [[, { run_id }]] = await record(stream, (value) => value);
  assert.deepEqual(told, [{ run_id, thread_id: id }]);
});

test("an interrupt is answered with a command", async () => {
  const id = await thread();
  const asked = names()(await client.runs.wait(id, "approval", { input: { foo: "x" } }));
  assert.deepEqual(asked, {
    foo: "x",
    log: ["before"],
    __interrupt__: [{ value: { question: "ok?" }, id: "<interrupt 1>", response_schema: null }],
  });
  assert.equal((await client.threads.get(id)).status, "interrupted");
  assert.deepEqual(await client.runs.wait(id, "approval", { command: { resume: "yes" } }), {
    foo: "x",
    log: ["before", "answer: 'yes'"],
  });
});

test("a listener that joins gets what comes then", async (t) => {
  const gate = await openGate(t);
  const id = await thread();
  const { run_id } = await client.runs.create(id, "waiting", { input: gate.input(), streamMode: "updates", streamResumable: true });
  const visitor = await gate.visitor();
  const replay = client.runs.joinStream(id, run_id, { lastEventId: "-1" });
  assert.equal((await replay.next()).value.event, "metadata");
  assert.deepEqual((await replay.next()).value.data, { before: { log: ["run arrives"] } });
  visitor.letIn();
  assert.deepEqual(await record(replay), [["updates", { gate: { log: ["run passed"] } }]]);
  assert.deepEqual((await client.runs.join(id, run_id)).log, ["run arrives", "run passed"]);
});

test("a finished resumable run is replayed", async () => {
  const id = await thread();
  const options = { input: { foo: "x" }, streamMode: ["values", "updates"], streamResumable: true };
  const parts = await collect(client.runs.stream(id, "simple", options));
  const run = parts[0].data.run_id;
  assert.deepEqual(await collect(client.runs.joinStream(id, run, { lastEventId: "-1" })), parts);
  assert.deepEqual(await collect(client.runs.joinStream(id, run)), []);
  const updates = await collect(client.runs.joinStream(id, run, { lastEventId: "-1", streamMode: "updates" }));
  assert.deepEqual(
    updates.map((part) => part.event),
    ["updates", "updates"],
  );
});

test("a run is cancelled at once", async (t) => {
  const gate = await openGate(t);
  const id = await thread();
  const { run_id } = await client.runs.create(id, "waiting", { input: gate.input() });
  const visitor = await gate.visitor();
  await client.runs.cancel(id, run_id, true);
  await visitor.gone;
  assert.equal((await client.runs.get(id, run_id)).status, "interrupted");
  assert.equal((await client.threads.get(id)).status, "interrupted");
  await assert.rejects(client.runs.cancel(id, run_id), (error) => error.status === 404 && error.message.includes(NO_RUN));
});

test("a client that leaves its stream may take the run with it", async (t) => {
  const gate = await openGate(t);
  const id = await thread();
  const abort = new AbortController();
  const stream = client.runs.stream(id, "waiting", { input: gate.input(), onDisconnect: "cancel", signal: abort.signal });
  const { run_id } = (await stream.next()).value.data;
  const visitor = await gate.visitor();
  abort.abort();
  await visitor.gone;
  await client.runs.join(id, run_id);
  assert.equal((await client.runs.get(id, run_id)).status, "interrupted");
});

test("runs of one thread are listed, enqueued and deleted", async (t) => {
  const gate = await openGate(t);
  const id = await thread();
  const first = await client.runs.create(id, "waiting", { input: gate.input("first") });
  const second = await client.runs.create(id, "waiting", { input: gate.input("second") });
  const visitor = await gate.visitor();
  assert.equal(visitor.name, "first");
  const statuses = async () => (await client.runs.list(id)).map((run) => run.status);
  assert.deepEqual(await statuses(), ["pending", "running"]);
  await assert.rejects(client.runs.create(id, "simple", { multitaskStrategy: "reject" }), { status: 409 });
  visitor.letIn();
  (await gate.visitor()).letIn();
  const state = await client.runs.join(id, second.run_id);
  assert.deepEqual(state.log, ["first arrives", "first passed", "second arrives", "second passed"]);
  assert.deepEqual(await statuses(), ["success", "success"]);
  await client.runs.delete(id, first.run_id);
  assert.deepEqual(
    (await client.runs.list(id)).map((run) => run.run_id),
    [second.run_id],
  );
});

// The reference server names this path but does not serve it.
test("a stateless run is joined without its thread", async (t) => {
  const gate = await openGate(t);
  const options = { input: gate.input(), streamMode: "updates", streamResumable: true };
  const { run_id } = await client.runs.create(null, "waiting", options);
  const visitor = await gate.visitor();
  const joined = client.runs.joinStream(null, run_id, { lastEventId: "-1" });
  assert.equal((await joined.next()).value.event, "metadata");
  visitor.letIn();
  assert.deepEqual(await record(joined), [
    ["updates", { before: { log: ["run arrives"] } }],
    ["updates", { gate: { log: ["run passed"] } }],
  ]);
});

async function collect(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return parts;
}
