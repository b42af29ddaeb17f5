// Searches, copies, prunings and lifetimes of threads with the official JavaScript client.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";

import { shared } from "./support/server.js";
import { test } from "./support/test.js";

const { client } = await shared();
const DONE = { foo: "A", log: ["a", "b"] };

/** Three threads: one fresh, one on which simple ran, one whose graph asks; and the metadata that they share. */
async function three() {
  const mark = { mark: randomUUID() };
  const ids = [];
  for (const n of [0, 1, 2]) ids.push((await client.threads.create({ metadata: { ...mark, n } })).thread_id);
  await client.runs.wait(ids[1], "simple", { input: { foo: "x" } });
  await client.runs.wait(ids[2], "approval", { input: { foo: "x" } });
  return { mark, ids };
}

test("threads are found by every filter", async () => {
  const { mark, ids } = await three();
  const search = (query) => client.threads.search({ metadata: mark, ...query });
  const found = async (query) => (await search(query)).map((thread) => ids.indexOf(thread.thread_id));
  assert.deepEqual(await found({}), [2, 1, 0]);
  assert.deepEqual(await found({ metadata: { ...mark, n: 1 } }), [1]);
  assert.deepEqual(await found({ ids: [ids[0], ids[2], randomUUID()] }), [2, 0]);
  assert.deepEqual(await found({ status: "interrupted" }), [2]);
  assert.deepEqual(await found({ values: DONE }), [1]);
  assert.deepEqual(await found({ values: { log: ["before"] }, status: "idle" }), []);
  for (const sortBy of ["created_at", "updated_at", "state_updated_at", "thread_id"]) {
    assert.deepEqual(await found({ sortBy, sortOrder: "asc" }), [0, 1, 2]);
    assert.deepEqual(await found({ sortBy, sortOrder: "desc" }), [2, 1, 0]);
    assert.deepEqual(await found({ sortBy, sortOrder: "asc", limit: 1, offset: 1 }), [1]);
  }
  const count = (query) => client.threads.count({ metadata: mark, ...query });
  assert.deepEqual(await Promise.all([{}, { status: "idle" }, { values: { foo: "A" } }].map(count)), [3, 2, 1]);
});

test("fields are selected and values picked out", async () => {
  const { mark, ids } = await three();
  const extract = { last: "values.log[-1]", n: "metadata.n" };
  const options = { sortBy: "created_at", sortOrder: "asc", select: ["thread_id"], extract };
  assert.deepEqual(await client.threads.search({ metadata: mark, ...options }), [
    { thread_id: ids[0], extracted: { last: null, n: 0 } },
    { thread_id: ids[1], extracted: { last: "b", n: 1 } },
    { thread_id: ids[2], extracted: { last: "before", n: 2 } },
  ]);
  const [selected] = await client.threads.search({ ids: [ids[2]], select: ["status", "interrupts", "values"] });
  const { status, interrupts, values } = await client.threads.get(ids[2]);
  assert.deepEqual(selected, { status, interrupts, values });
});

test("threads are copied and pruned", async () => {
  const { ids } = await three();
  const copy = await client.threads.copy(ids[2]);
  const original = await client.threads.get(ids[2]);
  assert.deepEqual([copy.status, copy.values, copy.interrupts], ["interrupted", original.values, original.interrupts]);
  const answered = await client.runs.wait(copy.thread_id, "approval", { command: { resume: 1 } });
  assert.deepEqual(answered.log, ["before", "answer: 1"]);
  assert.deepEqual(await client.threads.get(ids[2]), original);

  assert.deepEqual(await client.threads.prune([ids[1], randomUUID()], { strategy: "keep_latest" }), { pruned_count: 1 });
  const history = await client.threads.getHistory(ids[1]);
  assert.deepEqual(
    history.map((state) => state.values),
    [DONE],
  );
  assert.deepEqual(await client.threads.prune([...ids, copy.thread_id]), { pruned_count: 4 });
  assert.deepEqual(await client.threads.search({ ids }), []);
});

test("a lifetime is given, shown and changed", async () => {
  const { thread_id } = await client.threads.create({ ttl: 90 });
  const shown = async () => {
    const { strategy, ttl_minutes } = (await client.threads.get(thread_id, { include: ["ttl"] })).ttl;
    return [strategy, ttl_minutes];
  };
  assert.deepEqual(await shown(), ["delete", 90]);
  await client.threads.update(thread_id, { ttl: { ttl: 30, strategy: "keep_latest" } });
  assert.deepEqual(await shown(), ["keep_latest", 30]);
  assert.equal((await client.threads.get(thread_id)).ttl, undefined);
});

test("a patch may answer nothing", async () => {
  const { thread_id } = await client.threads.create({ metadata: { a: 1 } });
  await client.threads.update(thread_id, { metadata: { b: null }, returnMinimal: true });
  assert.deepEqual((await client.threads.get(thread_id)).metadata, { a: 1, b: null });
});
