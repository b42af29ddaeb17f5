// The event protocol with the official JavaScript client, over both of its transports.

import assert from "node:assert/strict";

import { Client } from "@langchain/langgraph-sdk";
import WebSocket from "ws";

import { shared } from "./support/server.js";
import { test } from "./support/test.js";

// Browsers and newer versions of Node have one.
globalThis.WebSocket ??= WebSocket;

const { url } = await shared();

async function all(stream) {
  const items = [];
  for await (const item of stream) items.push(item);
  return items;
}

for (const transport of ["sse", "websocket"]) {
  const client = new Client({ apiUrl: url, apiKey: null });
  const open = (assistantId, threadId = crypto.randomUUID()) =>
    client.threads.stream(threadId, { assistantId, transport });

  test(`${transport}: messages, values and the output of a run are followed`, async () => {
    const thread = open("chat");
    const messages = all(thread.messages);
    const values = all(thread.values);
    const input = { messages: [{ role: "user", content: "hi", id: "hi" }] };
    assert.match((await thread.submitRun({ input })).run_id, /^[0-9a-f-]{36}$/);
    const [message] = await messages;
    assert.equal(await message.text, "hello big world");
    const states = await values;
    assert.equal(states.at(-1).messages.length, 2);
    assert.equal((await client.threads.getState(thread.threadId)).values.messages.length, 2);
    await thread.close();
  });

  test(`${transport}: a question is asked and answered`, async () => {
    const thread = open("approval");
    const subscription = await thread.subscribe(["lifecycle", "input", "values"]);
    const events = subscription[Symbol.asyncIterator]();
    await thread.submitRun({ input: { foo: "x" } });
    const until = async (holds) => {
      for (;;) {
        const { value, done } = await events.next();
        if (done) {
          await subscription.waitForResume();
          continue;
        }
        if (holds(value)) return value;
      }
    };
    const question = await until((event) => event.method === "input.requested");
    assert.deepEqual(question.params.data.payload, { question: "ok?" });
    const { interrupt_id } = question.params.data;
    await thread.respondInput({ interrupt_id, namespace: question.params.namespace, response: "yes" });
    const answered = (event) => event.method === "values" && event.params.data.log.length === 2;
    assert.deepEqual((await until(answered)).params.data.log, ["before", "answer: 'yes'"]);
    await thread.close();
  });

  test(`${transport}: what a node writes is unwrapped`, async () => {
    const thread = open("progress");
    const subscription = await thread.subscribe("custom");
    await thread.submitRun({ input: { foo: "" } });
    const payloads = [];
    for await (const event of subscription) {
      payloads.push(event?.params?.data?.payload ?? event);
      if (payloads.length === 3) break;
    }
    assert.deepEqual(payloads, [{ progress: 1 }, "half way, äöü €", [1, 2]]);
    await thread.close();
  });
}
