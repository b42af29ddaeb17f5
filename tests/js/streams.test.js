// Streams with the official JavaScript client: modes, namespaces, replay, broken connections, threads.

import assert from "node:assert/strict";

import { openGate } from "./support/gate.js";
import { names, record } from "./support/names.js";
import { openProxy } from "./support/proxy.js";
import { connect, shared } from "./support/server.js";
import { test } from "./support/test.js";

const { client, url } = await shared();

async function thread() {
  return (await client.threads.create()).thread_id;
}

async function collect(stream, count = Infinity) {
  const parts = [];
  while (parts.length < count) {
    const { value, done } = await stream.next();
    if (done) break;
    parts.push(value);
  }
  return parts;
}

const events = async (stream) => (await collect(stream)).map((part) => part.event);

test("each mode has its own events", async () => {
  const input = { messages: [{ role: "user", content: "hi", id: "hi" }] };
  const partial = ["messages/metadata", ...Array(5).fill("messages/partial")];
  for (const [mode, expected] of [
    ["values", Array(2).fill("values")],
    ["updates", ["updates"]],
    ["messages", partial],
    ["messages-tuple", Array(5).fill("messages")],
    ["tasks", Array(2).fill("tasks")],
    ["checkpoints", Array(3).fill("checkpoints")],
    ["debug", Array(5).fill("debug")],
    ["custom", []],
    ["events", Array(12).fill("events")],
  ]) {
    const stream = client.runs.stream(await thread(), "chat", { input, streamMode: mode });
    assert.deepEqual(await events(stream), ["metadata", ...expected], mode);
  }
  for (const streamMode of ["tools", "lifecycle"]) {
    await assert.rejects(collect(client.runs.stream(await thread(), "chat", { input, streamMode })), { status: 422 });
  }
});

test("graphs in graphs stream under their namespace", async () => {
  const options = { input: { foo: "x" }, streamMode: ["values", "custom"], streamSubgraphs: true };
  const [x, found] = [{ foo: "x" }, { foo: "x", found: "a stone" }];
  assert.deepEqual((await record(client.runs.stream(await thread(), "deep", options))).slice(1), [
    ["values", x],
    ["values|middle:<id 1>", x],
    ["values|middle:<id 1>|bottom:<id 2>", x],
    ["custom|middle:<id 1>|bottom:<id 2>", { depth: 2 }],
    ["values|middle:<id 1>|bottom:<id 2>", found],
    ["values|middle:<id 1>", found],
    ["values", found],
  ]);
});

test("a failure is the last event", async () => {
  const stream = client.runs.stream(await thread(), "errors", { input: { kind: "value" }, streamMode: "updates" });
  assert.deepEqual((await record(stream)).slice(1), [
    ["updates", { before: { log: ["before"] } }],
    ["error", { error: "ValueError", message: "bad value" }],
  ]);
});

test("a listener chooses modes and where to begin", async () => {
  const id = await thread();
  const options = { input: { foo: "x" }, streamMode: ["values", "updates", "tasks"], streamResumable: true };
  const parts = await collect(client.runs.stream(id, "simple", options));
  const run = parts[0].data.run_id;
  for (const [number, part] of parts.entries()) {
    assert.deepEqual(await collect(client.runs.joinStream(id, run, { lastEventId: part.id })), parts.slice(number + 1));
  }
  const chosen = client.runs.joinStream(id, run, { lastEventId: "-1", streamMode: ["updates", "values"] });
  assert.deepEqual(await events(chosen), ["values", "updates", "values", "updates", "values"]);
});

const step = (n) => ["updates", { one_step: { step: n + 1, log: [`step ${n}: ${n}`] } }];

for (const stateless of [false, true]) {
  test(`a broken stream goes on where it broke, ${stateless ? "without" : "with"} a thread`, async (t) => {
    const proxy = await openProxy(t, url);
    const gate = await openGate(t);
    const options = { input: gate.input("run", { steps: 3 }), streamMode: "updates", streamResumable: true };
    const stream = connect(proxy.url).runs.stream(stateless ? null : await thread(), "steps", options);
    assert.equal((await stream.next()).value.event, "metadata");
    (await gate.visitor()).letIn("0");
    assert.deepEqual((await stream.next()).value.data, step(0)[1]);
    const visitor = await gate.visitor();
    proxy.cut();
    // This happens while nobody listens.
    visitor.letIn("1");
    const last = await gate.visitor();
    assert.deepEqual((await stream.next()).value.data, step(1)[1]);
    last.letIn("2");
    assert.deepEqual(await record(stream), [step(2)]);
  });
}

test("a joined run ends with its listener if asked", async (t) => {
  const gate = await openGate(t);
  const id = await thread();
  const { run_id } = await client.runs.create(id, "waiting", { input: gate.input(), streamResumable: true });
  const visitor = await gate.visitor();
  const abort = new AbortController();
  const stream = client.runs.joinStream(id, run_id, { cancelOnDisconnect: true, signal: abort.signal, lastEventId: "-1" });
  assert.equal((await stream.next()).value.event, "metadata");
  abort.abort();
  await visitor.gone;
  await client.runs.join(id, run_id);
  assert.equal((await client.runs.get(id, run_id)).status, "interrupted");
});

test("a run goes on when its listener leaves", async (t) => {
  const gate = await openGate(t);
  const id = await thread();
  const abort = new AbortController();
  const stream = client.runs.stream(id, "waiting", { input: gate.input(), signal: abort.signal });
  const { run_id } = (await stream.next()).value.data;
  const visitor = await gate.visitor();
  abort.abort();
  visitor.letIn();
  assert.deepEqual((await client.runs.join(id, run_id)).log, ["run arrives", "run passed"]);
  assert.equal((await client.runs.get(id, run_id)).status, "success");
});

test("the runs of a thread are replayed and followed", async () => {
  const id = await thread();
  const options = { input: { foo: "x" }, streamMode: "updates", streamResumable: true };
  for (let n = 0; n < 2; n += 1) await collect(client.runs.stream(id, "simple", options));
  const rename = names();
  const run = (name) => [
    ["metadata", { run_id: name, attempt: 1 }],
    ["updates", { a: { foo: "A", log: ["a"] } }],
    ["updates", { b: { log: ["b"] } }],
    ["metadata", { status: "run_done", run_id: name }],
  ];
  const abort = new AbortController();
  const stream = client.threads.joinStream(id, { lastEventId: "-", signal: abort.signal });
  const parts = await collect(stream, 8);
  assert.deepEqual(
    parts.map(({ event, data }) => [event, rename(data)]),
    [...run("<run 1>"), ...run("<run 2>")],
  );
  await client.runs.wait(id, "counter", { input: { count: 0, limit: 1 } });
  assert.deepEqual(
    (await collect(stream, 4)).map((part) => part.event),
    ["metadata", "values", "values", "metadata"],
  );
  abort.abort();
});

// The reference server does not know the name under which clients send the modes.
test("starts, ends and changes of a thread are followed alone", async () => {
  const id = await thread();
  await collect(client.runs.stream(id, "simple", { input: { foo: "x" }, streamResumable: true }));
  for (const streamMode of ["lifecycle", ["lifecycle", "state_update"]]) {
    const abort = new AbortController();
    const stream = client.threads.joinStream(id, { lastEventId: "-", streamMode, signal: abort.signal });
    assert.deepEqual(
      (await collect(stream, 2)).map((part) => [part.event, Object.keys(part.data)]),
      [
        ["metadata", ["run_id", "attempt"]],
        ["metadata", ["status", "run_id"]],
      ],
    );
    abort.abort();
  }
});
