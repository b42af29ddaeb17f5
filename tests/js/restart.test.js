// The official JavaScript client and a server that is killed in the middle of a stream.

import assert from "node:assert/strict";

import { openGate } from "./support/gate.js";
import { record } from "./support/names.js";
import { Server, connect } from "./support/server.js";
import { test } from "./support/test.js";

test("a resumable stream goes on after the server was killed and started again", async (t) => {
  const server = await new Server().start();
  t.after(() => server.stop());
  const client = connect(server.url);
  const gate = await openGate(t);
  const { thread_id } = await client.threads.create();
  const stream = client.runs.stream(thread_id, "steps", {
    input: gate.input("run", { steps: 2 }),
    streamMode: "updates",
    streamResumable: true,
    durability: "sync",
  });
  assert.equal((await stream.next()).value.event, "metadata");
  (await gate.visitor()).letIn("before");
  assert.deepEqual((await stream.next()).value.data, { one_step: { step: 1, log: ["step 0: before"] } });
  const reading = record(stream);
  await gate.visitor();
  await server.kill();
  await server.start();
  (await gate.visitor()).letIn("after");
  assert.deepEqual(await reading, [
    // The death of the server is charged to no run.
    ["metadata", { run_id: "<run 1>", attempt: 1 }],
    ["updates", { one_step: { step: 2, log: ["step 1: after"] } }],
  ]);
});
