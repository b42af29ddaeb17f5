// State, history and time travel with the official JavaScript client.

import assert from "node:assert/strict";

import { shared } from "./support/server.js";
import { test } from "./support/test.js";

const { client } = await shared();
const DONE = { foo: "A", log: ["a", "b"] };

async function thread() {
  return (await client.threads.create()).thread_id;
}

/** A thread on which simple ran, and its checkpoints by their steps. */
async function ran() {
  const id = await thread();
  await client.runs.wait(id, "simple", { input: { foo: "x" } });
  const history = await client.threads.getHistory(id);
  return { id, history, past: Object.fromEntries(history.map((state) => [state.metadata.step, state])) };
}

const steps = (history) => history.map((state) => state.metadata.step);

test("a state is read by its checkpoint and by its id", async () => {
  const { id, history } = await ran();
  assert.deepEqual(await client.threads.getState(id), history[0]);
  for (const { checkpoint, checkpoint_id, values, next } of history) {
    for (const place of [checkpoint, checkpoint_id]) {
      const state = await client.threads.getState(id, place);
      assert.deepEqual([state.values, state.next, state.checkpoint_id], [values, next, checkpoint_id]);
    }
  }
});

test("history is limited, filtered and read from a point on", async () => {
  const { id, history, past } = await ran();
  const found = async (options) => steps(await client.threads.getHistory(id, options));
  assert.deepEqual(await found({ limit: 2 }), [2, 1]);
  assert.deepEqual(await found({ metadata: { source: "input" } }), [-1]);
  assert.deepEqual(await found({ metadata: { source: "loop", step: 1 } }), [1]);
  assert.deepEqual(await found({ before: { configurable: past[1].checkpoint } }), [0, -1]);
  assert.deepEqual(await found({ before: past[1].checkpoint }), [0, -1]);
  assert.deepEqual(await found({ before: { configurable: past[2].checkpoint }, metadata: { source: "loop" }, limit: 1 }), [1]);
  assert.deepEqual(await found({ checkpoint: { checkpoint_id: past[0].checkpoint_id } }), [0]);
  assert.deepEqual(await found({ checkpoint: { checkpoint_ns: "" } }), steps(history));
});

test("a run repeats what followed a checkpoint, or begins anew there", async () => {
  for (const [step, field] of [
    [1, "checkpoint"],
    [0, "checkpointId"],
  ]) {
    const { id, past } = await ran();
    const place = field === "checkpoint" ? { checkpoint: past[step].checkpoint } : { checkpointId: past[step].checkpoint_id };
    assert.deepEqual(await client.runs.wait(id, "simple", { input: null, ...place }), DONE);
    const [last, ...before] = await client.threads.getHistory(id);
    const fork = before.find((state) => state.metadata.source === "fork");
    assert.deepEqual([fork.parent_checkpoint, fork.next, last.values], [past[step].checkpoint, past[step].next, DONE]);
  }
  const { id, past } = await ran();
  const anew = await client.runs.wait(id, "simple", { input: { foo: "y" }, checkpoint: past[1].checkpoint });
  assert.deepEqual(anew, { foo: "A", log: ["a", "a", "b"] });
});

test("an update branches off a checkpoint", async () => {
  const { id, past } = await ran();
  const { checkpoint } = past[0];
  const made = await client.threads.updateState(id, { values: { log: ["fork"] }, asNode: "a", checkpoint });
  const state = await client.threads.getState(id);
  assert.deepEqual(state.checkpoint, made.checkpoint);
  assert.deepEqual([state.values, state.next, state.parent_checkpoint], [{ foo: "x", log: ["fork"] }, ["b"], checkpoint]);
  const result = await client.runs.wait(id, "simple", { input: null, checkpoint: made.checkpoint });
  assert.deepEqual(result, { foo: "x", log: ["fork", "b"] });
  await client.threads.updateState(id, { values: null, asNode: "a", checkpointId: past[1].checkpoint_id });
  assert.deepEqual((await client.threads.getState(id)).values, { foo: "A", log: ["a"] });
});

test("the state of a subgraph is read, followed back and changed", async () => {
  const id = await thread();
  await client.runs.wait(id, "nested", { input: { foo: "ask" } });
  const [plain] = (await client.threads.getState(id)).tasks;
  assert.deepEqual([plain.name, plain.state], ["child", null]);
  const [task] = (await client.threads.getState(id, undefined, { subgraphs: true })).tasks;
  assert.deepEqual([task.checkpoint, task.state.values, task.state.next], [null, { foo: "ask", log: ["pre"] }, ["inner"]]);
  assert.deepEqual(await client.threads.getState(id, task.state.checkpoint), task.state);
  const inside = await client.threads.getHistory(id, { checkpoint: { checkpoint_ns: plain.checkpoint.checkpoint_ns } });
  assert.deepEqual(steps(inside), [0, -1]);

  await client.threads.updateState(id, { values: { log: ["edited"] }, checkpoint: plain.checkpoint });
  const state = await client.runs.wait(id, "nested", { command: { resume: "yes" } });
  assert.deepEqual(state.log, ["pre", "pre", "edited", "inner: sub speaks, answer: yes", "post"]);
});

test("a thread begins with a state", async () => {
  const supersteps = [
    { updates: [{ values: { foo: "in" }, asNode: "__start__" }] },
    { updates: [{ values: { log: ["seeded"] }, asNode: "a" }] },
  ];
  const { thread_id, values, status } = await client.threads.create({ graphId: "simple", supersteps });
  assert.deepEqual([values, status], [{ foo: "in", log: ["seeded"] }, "interrupted"]);
  assert.deepEqual(await client.runs.wait(thread_id, "simple", { input: null }), { foo: "in", log: ["seeded", "b"] });
});

test("an impossible update is refused", async () => {
  const { id } = await ran();
  await assert.rejects(
    client.threads.updateState(id, { values: {}, asNode: "nobody" }),
    (error) => error.status === 400 && error.message.includes("Node nobody does not exist"),
  );
});
