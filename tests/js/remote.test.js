// RemoteGraph of the JavaScript library: a graph of this server used like a local one.

import assert from "node:assert/strict";

import { Annotation, Command, GraphInterrupt, START, StateGraph } from "@langchain/langgraph";
import { RemoteGraph } from "@langchain/langgraph/remote";

import { names } from "./support/names.js";
import { shared } from "./support/server.js";
import { test } from "./support/test.js";

const { client } = await shared();
const DONE = { foo: "A", log: ["a", "b"] };
const remote = (graphId) => new RemoteGraph({ graphId, client });

async function config() {
  return { configurable: { thread_id: (await client.threads.create()).thread_id } };
}

/** Returns when the last run has ended: RemoteGraph leaves as soon as it sees a question. */
async function ended({ configurable: { thread_id } }) {
  const [{ run_id }] = await client.runs.list(thread_id, { limit: 1 });
  await client.runs.join(thread_id, run_id);
}

async function collect(stream) {
  const chunks = [];
  for await (const chunk of await stream) chunks.push(chunk);
  return chunks;
}

test("it is invoked with a thread and without", async () => {
  assert.deepEqual(await remote("simple").invoke({ foo: "x" }, await config()), DONE);
  assert.deepEqual(await remote("simple").invoke({ foo: "x" }), DONE);
});

test("it streams one mode, several modes, and tokens", async () => {
  const graph = remote("simple");
  const [a, b] = [{ a: { foo: "A", log: ["a"] } }, { b: { log: ["b"] } }];
  assert.deepEqual(await collect(graph.stream({ foo: "x" }, { ...(await config()), streamMode: "updates" })), [a, b]);
  const chunks = await collect(graph.stream({ foo: "x" }, { ...(await config()), streamMode: ["values", "updates"] }));
  assert.deepEqual(chunks, [
    ["values", { foo: "x", log: [] }],
    ["updates", a],
    ["values", { foo: "A", log: ["a"] }],
    ["updates", b],
    ["values", DONE],
  ]);
});

test("its subgraphs come with their namespace", async () => {
  const rename = names();
  const options = { ...(await config()), streamMode: ["updates", "custom"], subgraphs: true };
  const stream = remote("deep").stream({ foo: "x" }, options);
  const found = { foo: "x", found: "a stone" };
  assert.deepEqual(rename(await collect(stream)), [
    [["middle:<id 1>", "bottom:<id 2>"], "custom", { depth: 2 }],
    [["middle:<id 1>", "bottom:<id 2>"], "updates", { dig: { found: "a stone" } }],
    [["middle:<id 1>"], "updates", { bottom: found }],
    [[], "updates", { middle: found }],
  ]);
});

test("its state is read, followed back, forked and changed", async () => {
  const graph = remote("simple");
  const here = await config();
  await graph.invoke({ foo: "x" }, here);
  const state = await graph.getState(here);
  assert.deepEqual([state.values, state.next, state.metadata.step], [DONE, [], 2]);
  const history = await collect(graph.getStateHistory(here));
  assert.deepEqual(
    history.map((each) => each.metadata.step),
    [2, 1, 0, -1],
  );
  assert.deepEqual(await collect(graph.getStateHistory(here, { before: history[1].config, limit: 1 })), [history[2]]);
  assert.deepEqual(await collect(graph.getStateHistory(here, { filter: { source: "input" } })), [history[3]]);

  const fork = await graph.updateState(history[2].config, { log: ["fork"] }, "a");
  const forked = await graph.getState(fork);
  assert.deepEqual([forked.values, forked.next, forked.parentConfig], [{ foo: "x", log: ["fork"] }, ["b"], history[2].config]);
  assert.deepEqual(await graph.invoke(null, here), { foo: "x", log: ["fork", "b"] });
});

test("its questions are raised and answered with a command", async () => {
  const graph = remote("approval");
  const here = await config();
  await assert.rejects(graph.invoke({ foo: "x" }, here), (error) => {
    assert.ok(error instanceof GraphInterrupt);
    assert.deepEqual(
      error.interrupts.map((each) => each.value),
      [{ question: "ok?" }],
    );
    return true;
  });
  await ended(here);
  const [task] = (await graph.getState(here)).tasks;
  assert.deepEqual([task.name, task.interrupts.map((each) => each.value)], ["ask", [{ question: "ok?" }]]);
  assert.deepEqual(await graph.invoke(new Command({ resume: "yes" }), here), { foo: "x", log: ["before", "answer: 'yes'"] });
});

test("a question two graphs down is seen and answered by id", async () => {
  const graph = remote("deep");
  const here = await config();
  await assert.rejects(graph.invoke({ foo: "ask" }, here), GraphInterrupt);
  await ended(here);
  const path = [];
  let state = await graph.getState(here, { subgraphs: true });
  const [{ interrupts }] = state.tasks;
  while (state?.tasks?.length > 0) {
    path.push(state.next[0]);
    state = state.tasks[0].state;
  }
  assert.deepEqual(path, ["middle", "bottom", "dig"]);
  const resume = { [interrupts[0].interrupt_id]: "gold" };
  assert.deepEqual(await graph.invoke(new Command({ resume }), here), { foo: "ask", found: "gold" });
});

test("its failure is raised", async () => {
  await assert.rejects(remote("errors").invoke({ kind: "value" }), (error) => {
    assert.equal(error.name, "RemoteException");
    assert.deepEqual(JSON.parse(error.message), { error: "ValueError", message: "bad value" });
    return true;
  });
});

test("it is drawn", async () => {
  const { nodes, edges } = await remote("simple").getGraphAsync();
  assert.deepEqual(Object.keys(nodes), ["__start__", "a", "b", "__end__"]);
  assert.deepEqual(
    edges.map(({ source, target }) => [source, target]),
    [
      ["__start__", "a"],
      ["a", "b"],
      ["b", "__end__"],
    ],
  );
});

test("it is a node of a local graph", async () => {
  const State = Annotation.Root({ foo: Annotation(), found: Annotation() });
  const local = new StateGraph(State).addNode("far", remote("deep")).addEdge(START, "far").compile();
  assert.deepEqual(await local.invoke({ foo: "x" }), { foo: "x", found: "a stone" });
  const chunks = await collect(local.stream({ foo: "x" }, { streamMode: "custom", subgraphs: true }));
  assert.deepEqual(
    chunks.map(([, data]) => data),
    [{ depth: 2 }],
  );
});
