// Assistants with the official JavaScript client.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";

import { assistants, shared } from "./support/server.js";
import { test } from "./support/test.js";

const { client } = await shared();

/** An assistant with a mark that no other test uses. */
async function mine(fields = {}) {
  const mark = { mark: randomUUID() };
  const made = await client.assistants.create({ graphId: "context", metadata: mark, ...fields });
  return { mark, made, id: made.assistant_id };
}

async function refusal(promise) {
  const error = await promise.then(() => assert.fail("nothing was refused"), (error) => error);
  return error.message;
}

test("an assistant is created, read, changed, counted and deleted", async () => {
  const { mark, made, id } = await mine({ name: "Mine", description: "For tests", context: { model: "m1" } });
  assert.deepEqual(await client.assistants.get(id), made);
  assert.deepEqual(
    { ...made, assistant_id: "", created_at: "", updated_at: "" },
    {
      assistant_id: "",
      graph_id: "context",
      config: { configurable: { model: "m1" } },
      context: { model: "m1" },
      metadata: mark,
      name: "Mine",
      created_at: "",
      updated_at: "",
      version: 1,
      description: "For tests",
    },
  );
  const changed = await client.assistants.update(id, { graphId: "context", name: "Other", metadata: { more: 1 } });
  assert.deepEqual(changed, {
    ...made,
    name: "Other",
    metadata: { ...mark, more: 1 },
    version: 2,
    updated_at: changed.updated_at,
  });
  assert.deepEqual(await client.assistants.search({ metadata: mark, sortBy: "name", sortOrder: "asc" }), [changed]);
  assert.deepEqual(await client.assistants.search({ metadata: mark, select: ["name"] }), [{ name: "Other" }]);
  assert.equal(await client.assistants.count({ metadata: mark }), 1);
  await client.assistants.delete(id);
  assert.match(await refusal(client.assistants.get(id)), /404.*Not Found/s);
});

test("versions are listed and gone back to", async () => {
  const { made, id } = await mine({ graphId: "simple", name: "One" });
  const second = await client.assistants.update(id, { graphId: "counter", name: "Two" });
  const stored = ({ updated_at: _, ...version }, created_at) => ({ ...version, created_at });
  const versions = await client.assistants.getVersions(id);
  assert.deepEqual(versions, [stored(second, second.updated_at), stored(made, made.created_at)]);
  assert.deepEqual(await client.assistants.getVersions(id, { limit: 1, offset: 1 }), versions.slice(1));
  const restored = await client.assistants.setLatest(id, 1);
  assert.deepEqual(restored, { ...made, updated_at: restored.updated_at });
  assert.match(await refusal(client.assistants.setLatest(id, 9)), new RegExp(`Version 9 not found for assistant ${id}`));
});

test("graphs are drawn and described", async () => {
  const { id } = await mine({ graphId: "nested" });
  const names = (drawing) => drawing.nodes.map((node) => node.id).sort();
  assert.deepEqual(names(await client.assistants.getGraph(id)), ["__end__", "__start__", "child", "post", "pre"]);
  const inside = ["__end__", "__start__", "child:inner", "post", "pre"];
  assert.deepEqual(names(await client.assistants.getGraph(id, { xray: true })), inside);
  const schemas = await client.assistants.getSchemas(assistants.simple);
  const kinds = ["config_schema", "context_schema", "graph_id", "input_schema", "output_schema", "state_schema"];
  assert.deepEqual(Object.keys(schemas).sort(), kinds);
  const subgraphs = await client.assistants.getSubgraphs(id, { recurse: true });
  assert.deepEqual(Object.keys(subgraphs), ["child"]);
  assert.deepEqual(await client.assistants.getSubgraphs(id, { namespace: "child" }), subgraphs);
  assert.deepEqual(await client.assistants.getSubgraphs(id, { namespace: "nope" }), {});
});
