// What the official JavaScript client makes of a server that limits it.

import assert from "node:assert/strict";

import { Server, connect } from "./support/server.js";
import { test } from "./support/test.js";

test("a run too many is told with its status and the reason", async (t) => {
  const server = await new Server({ AGENT_SERVER_INFLIGHT_RUNS: "1" }).start();
  t.after(() => server.stop());
  const client = connect(server.url);
  const { thread_id } = await client.threads.create();
  const later = await client.runs.create(thread_id, "simple", { input: {}, afterSeconds: 3600 });
  await assert.rejects(client.runs.create(thread_id, "simple", { input: {} }), (error) => {
    assert.equal(error.status, 429);
    assert.equal(error.response.headers.get("retry-after"), "5");
    const detail =
      "Too many runs in flight: at most 1 per identity may be pending or running. Wait until one has ended, or cancel one, " +
      "and try again.";
    assert.ok(error.message.includes(JSON.stringify({ detail })), error.message);
    return true;
  });
  await client.runs.cancel(thread_id, later.run_id);
  assert.equal((await client.runs.create(thread_id, "simple", { input: {} })).status, "pending");
});
