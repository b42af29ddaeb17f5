// People in the loop with the official JavaScript client.

import assert from "node:assert/strict";

import { record } from "./support/names.js";
import { shared } from "./support/server.js";
import { test } from "./support/test.js";

const { client } = await shared();

async function thread() {
  return (await client.threads.create()).thread_id;
}

const asked = (state) => state.__interrupt__.map((question) => question.value);

test("several questions are answered with one map, or one by one", async () => {
  const whole = await thread();
  let state = await client.runs.wait(whole, "two_approvals", { input: { foo: "x" } });
  assert.deepEqual(asked(state), ["left?", "right?"]);
  const resume = Object.fromEntries(state.__interrupt__.map((question) => [question.id, question.value.toUpperCase()]));
  state = await client.runs.wait(whole, "two_approvals", { command: { resume } });
  assert.deepEqual(state, { foo: "x", log: ["left: LEFT?", "right: RIGHT?"] });

  const single = await thread();
  state = await client.runs.wait(single, "two_approvals", { input: { foo: "x" } });
  const [left, right] = state.__interrupt__.map((question) => question.id);
  state = await client.runs.wait(single, "two_approvals", { command: { resume: { [right]: "R" } } });
  assert.deepEqual(asked(state), ["left?"]);
  state = await client.runs.wait(single, "two_approvals", { command: { resume: { [left]: "L" } } });
  assert.deepEqual(state, { foo: "x", log: ["left: L", "right: R"] });
});

test("false, zero and nothing but space are answers", async () => {
  for (const [resume, shown] of [
    [false, "False"],
    [0, "0"],
    ["", "''"],
    [{ a: [null] }, "{'a': [None]}"],
  ]) {
    const id = await thread();
    await client.runs.wait(id, "approval", { input: { foo: "x" } });
    const state = await client.runs.wait(id, "approval", { command: { resume } });
    assert.deepEqual(state, { foo: "x", log: ["before", `answer: ${shown}`] });
  }
});

test("the state is edited before the answer", async () => {
  const id = await thread();
  await client.runs.wait(id, "approval", { input: { foo: "x" } });
  await client.threads.updateState(id, { values: { foo: "edited" } });
  assert.equal((await client.threads.get(id)).status, "interrupted");
  const state = await client.runs.wait(id, "approval", { command: { resume: "yes", update: { log: ["and more"] } } });
  assert.deepEqual([state.foo, new Set(state.log)], ["edited", new Set(["before", "and more", "answer: 'yes'"])]);
});

test("an edit in the name of the node that asks takes its place", async () => {
  const id = await thread();
  await client.runs.wait(id, "approval", { input: { foo: "x" } });
  await client.threads.updateState(id, { values: { log: ["by hand"] }, asNode: "ask" });
  const { status, interrupts } = await client.threads.get(id);
  assert.deepEqual([status, interrupts], ["idle", {}]);
});

test("breakpoints stop before and after nodes", async () => {
  const id = await thread();
  const seen = [await client.runs.wait(id, "simple", { input: { foo: "x" }, interruptBefore: ["b"] })];
  assert.equal((await client.threads.get(id)).status, "interrupted");
  seen.push(await client.runs.wait(id, "simple", { input: null }));
  seen.push(await client.runs.wait(id, "simple", { input: { foo: "y" }, interruptAfter: "*" }));
  assert.deepEqual(
    seen.map((state) => state.log),
    [["a"], ["a", "b"], ["a", "b", "a"]],
  );
});

test("a question two graphs down is answered in a stream", async () => {
  const id = await thread();
  assert.deepEqual(asked(await client.runs.wait(id, "deep", { input: { foo: "ask" } })), ["deep?"]);
  const options = { command: { resume: "gold" }, streamMode: "updates", streamSubgraphs: true };
  const found = { foo: "ask", found: "gold" };
  assert.deepEqual((await record(client.runs.stream(id, "deep", options))).slice(1), [
    ["updates|middle:<id 1>|bottom:<id 2>", { dig: { found: "gold" } }],
    ["updates|middle:<id 1>", { bottom: found }],
    ["updates", { middle: found }],
  ]);
});

test("a command leaps to a node", async () => {
  const id = await thread();
  await client.runs.wait(id, "simple", { input: { foo: "x" } });
  const state = await client.runs.wait(id, "simple", { command: { goto: "b", update: { foo: "leapt" } } });
  assert.deepEqual(state, { foo: "leapt", log: ["a", "b", "b"] });
  const sent = await client.runs.wait(id, "simple", { command: { goto: [{ node: "b", input: { foo: "sent" } }] } });
  assert.deepEqual(sent.log, ["a", "b", "b", "b"]);
});
