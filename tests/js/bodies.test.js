// What the official JavaScript client can say when it creates runs, and how it ends them.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";

import { openGate } from "./support/gate.js";
import { openProxy } from "./support/proxy.js";
import { connect, shared } from "./support/server.js";
import { test } from "./support/test.js";

const { client, url } = await shared();
const DONE = { foo: "A", log: ["a", "b"] };

async function thread() {
  return (await client.threads.create()).thread_id;
}

test("a run keeps what it was created with", async () => {
  const id = randomUUID();
  const told = [];
  const run = await client.runs.create(id, "simple", {
    input: { foo: "x" },
    metadata: { m: 1 },
    config: { tags: ["t"], recursion_limit: 9, configurable: { c: 1 } },
    streamMode: ["values", "debug"],
    streamSubgraphs: true,
    streamResumable: true,
    feedbackKeys: ["k"],
    interruptBefore: ["nobody"],
    interruptAfter: "*",
    webhook: "https://example.com/hook",
    multitaskStrategy: "reject",
    ifNotExists: "create",
    afterSeconds: 7200,
    durability: "sync",
    strictResume: true,
    onRunCreated: (created) => told.push(created),
  });
  const { config, ...kwargs } = run.kwargs;
  assert.deepEqual(kwargs, {
    input: { foo: "x" },
    command: null,
    context: { c: 1 },
    stream_mode: ["values", "debug"],
    interrupt_before: ["nobody"],
    interrupt_after: "*",
    webhook: "https://example.com/hook",
    feedback_keys: ["k"],
    temporary: false,
    subgraphs: true,
    resumable: true,
    checkpoint_during: true,
    durability: "sync",
  });
  assert.deepEqual([config.tags, config.recursion_limit, config.configurable.__after_seconds__], [["t"], 9, 7200]);
  assert.deepEqual([run.metadata.m, run.multitask_strategy, run.status, run.thread_id], [1, "reject", "pending", id]);
  assert.deepEqual(told, [{ run_id: run.run_id, thread_id: id }]);
  await client.threads.delete(id);
});

test("context is passed to the graph", async () => {
  const { seen } = await client.runs.wait(await thread(), "context", { input: {}, context: { model: "m" } });
  assert.deepEqual(seen.context, { model: "m", style: "plain" });
});

test("durability decides which checkpoints remain", async () => {
  for (const [options, expected] of [
    [{ durability: "exit" }, 1],
    [{ durability: "sync" }, 4],
    [{ checkpointDuring: false }, 1],
    [{ checkpointDuring: true }, 4],
  ]) {
    const id = await thread();
    assert.deepEqual(await client.runs.wait(id, "simple", { input: { foo: "x" }, ...options }), DONE);
    assert.equal((await client.threads.getHistory(id)).length, expected);
  }
});

test("the recursion limit ends a run", async () => {
  const options = { input: { count: 0, limit: 50 }, config: { recursion_limit: 3 } };
  await assert.rejects(client.runs.wait(null, "counter", options), /^Error: GraphRecursionError: /);
});

test("a batch is started", async () => {
  const body = { assistantId: "simple", input: { foo: "x" }, on_completion: "keep" };
  const runs = await client.runs.createBatch([body, { ...body, assistantId: "counter", input: { count: 1, limit: 2 } }]);
  const results = await Promise.all(runs.map((run) => client.runs.join(run.thread_id, run.run_id)));
  assert.deepEqual(results, [DONE, { count: 2, limit: 2 }]);
});

test("runs are listed by status and in pages", async () => {
  const id = await thread();
  await client.runs.wait(id, "simple", { input: { foo: "x" } });
  await client.runs.wait(id, "errors", { input: { kind: "value" }, raiseError: false });
  await client.runs.wait(id, "simple", { input: { foo: "y" } });
  const statuses = async (options) => (await client.runs.list(id, options)).map((run) => run.status);
  assert.deepEqual(await statuses(), ["success", "error", "success"]);
  assert.deepEqual(await statuses({ status: "error" }), ["error"]);
  assert.deepEqual(await statuses({ limit: 2, offset: 1 }), ["error", "success"]);
  assert.deepEqual(await statuses({ status: "success", limit: 1, offset: 1 }), ["success"]);
  const runs = await client.runs.list(id);
  const selected = await client.runs.list(id, { select: ["run_id", "status"] });
  assert.deepEqual(
    selected,
    runs.map(({ run_id, status }) => ({ run_id, status })),
  );
});

test("a cancelled run is rolled back if asked", async (t) => {
  const gate = await openGate(t);
  const id = await thread();
  await client.runs.wait(id, "simple", { input: { foo: "x" } });
  const history = await client.threads.getHistory(id);
  const { run_id } = await client.runs.create(id, "waiting", { input: gate.input() });
  const visitor = await gate.visitor();
  await client.runs.cancel(id, run_id, true, "rollback");
  await visitor.gone;
  await assert.rejects(client.runs.get(id, run_id), { status: 404 });
  assert.deepEqual(await client.threads.getHistory(id), history);
  assert.equal((await client.threads.get(id)).status, "idle");
});

test("several runs are cancelled at once", async (t) => {
  const gate = await openGate(t);
  const id = await thread();
  const first = await client.runs.create(id, "waiting", { input: gate.input() });
  const visitor = await gate.visitor();
  const second = await client.runs.create(id, "simple", { afterSeconds: 7200 });
  await client.runs.cancelMany({ threadId: id, runIds: [first.run_id, second.run_id] });
  await visitor.gone;
  await client.runs.join(id, first.run_id);
  assert.deepEqual(
    (await client.runs.list(id)).map((run) => run.status),
    ["interrupted", "interrupted"],
  );
  await assert.rejects(client.runs.cancelMany({ threadId: id, runIds: [first.run_id] }), { status: 404 });
});

test("a second run interrupts or rolls back the first", async (t) => {
  const gate = await openGate(t);
  for (const [strategy, left] of [
    ["interrupt", ["first arrives"]],
    ["rollback", []],
  ]) {
    const id = await thread();
    await client.runs.create(id, "waiting", { input: gate.input("first"), durability: "sync" });
    const visitor = await gate.visitor();
    const second = client.runs.wait(id, "waiting", { input: gate.input("second"), multitaskStrategy: strategy });
    await visitor.gone;
    (await gate.visitor()).letIn();
    assert.deepEqual((await second).log, [...left, "second arrives", "second passed"]);
  }
});

test("a join ends the run when it is given up, if asked", async (t) => {
  const gate = await openGate(t);
  const id = await thread();
  const { run_id } = await client.runs.create(id, "waiting", { input: gate.input() });
  const visitor = await gate.visitor();
  const abort = new AbortController();
  const proxy = await openProxy(t, url);
  // The first bytes of the answer come when the server listens, long before the result.
  const answer = proxy.answer();
  const joining = connect(proxy.url).runs.join(id, run_id, { cancelOnDisconnect: true, signal: abort.signal });
  await answer;
  abort.abort();
  await assert.rejects(joining);
  await visitor.gone;
  await client.runs.join(id, run_id);
  assert.equal((await client.runs.get(id, run_id)).status, "interrupted");
});
