// Crons with the official JavaScript client.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";

import { shared } from "./support/server.js";
import { test } from "./support/test.js";

const { client } = await shared();
const SELDOM = "0 0 1 1 *";

/** Asks again until there is an answer. */
async function until(ask) {
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

test("a cron is made, found, changed and deleted", async () => {
  const mark = { mark: randomUUID() };
  const { thread_id } = await client.threads.create();
  const first = await client.crons.createForThread(thread_id, "simple", { schedule: SELDOM, input: {}, metadata: mark });
  const second = await client.crons.create("simple", { schedule: "@daily", timezone: "Asia/Tokyo", input: {}, metadata: mark });
  assert.deepEqual([first.thread_id, second.thread_id], [thread_id, null]);
  assert.match(second.next_run_date, /T15:00:00\+00:00$/);
  assert.deepEqual(await client.crons.search({ threadId: thread_id }), [first]);
  assert.equal(await client.crons.count({ metadata: mark }), 2);
  const changed = await client.crons.update(second.cron_id, { schedule: "0 1 * * *", enabled: false });
  assert.match(changed.next_run_date, /T16:00:00\+00:00$/);
  assert.equal(changed.enabled, false);
  for (const { cron_id } of [first, second]) await client.crons.delete(cron_id);
  assert.equal(await client.crons.count({ metadata: mark }), 0);
  await assert.rejects(client.crons.create("simple", { schedule: "bogus", input: {} }), /Invalid cron schedule: 'bogus'/);
});

test("a cron fires every second", async (t) => {
  const { thread_id } = await client.threads.create();
  const input = { foo: "x", log: [] };
  const cron = await client.crons.createForThread(thread_id, "simple", { schedule: "* * * * * *", input });
  t.after(() => client.crons.delete(cron.cron_id));
  const runs = await until(async () => {
    const runs = await client.runs.list(thread_id);
    return runs.length >= 2 && runs;
  });
  assert.equal(new Set(runs.map((run) => run.created_at.slice(0, 19))).size, runs.length);
  for (const run of runs) assert.equal(run.kwargs.config.configurable.cron_id, cron.cron_id);
});
