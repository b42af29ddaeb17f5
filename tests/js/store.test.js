// The store with the official JavaScript client.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";

import { shared } from "./support/server.js";
import { test } from "./support/test.js";

const { client } = await shared();

test("an item is put, read, found and deleted", async () => {
  const root = `js-${randomUUID()}`;
  await client.store.putItem([root, "a"], "k", { z: 1, a: [null, "é"] });
  await client.store.putItem([root, "b"], "k", { z: 2 }, { index: false, ttl: 5 });
  const item = await client.store.getItem([root, "a"], "k");
  assert.deepEqual(item.value, { z: 1, a: [null, "é"] });
  assert.deepEqual([item.namespace, item.key], [[root, "a"], "k"]);
  const found = async (options) => (await client.store.searchItems([root], options)).items.map((item) => item.value.z);
  assert.deepEqual(await found({}), [2, 1]);
  assert.deepEqual(await found({ filter: { z: { $gt: 1 } } }), [2]);
  assert.deepEqual(await found({ limit: 1, offset: 1, refreshTtl: false }), [1]);
  const { namespaces } = await client.store.listNamespaces({ prefix: [root] });
  assert.deepEqual(namespaces, [[root, "a"], [root, "b"]]);
  await client.store.deleteItem([root, "a"], "k");
  assert.equal(await client.store.getItem([root, "a"], "k"), null);
});

test("names that are none are refused", async () => {
  const refused = (status) => (error) => error.status === status || error.message.includes(String(status));
  await assert.rejects(client.store.putItem(["langgraph"], "k", {}), refused(400));
  // The client itself refuses a label with a period.
  await assert.rejects(client.store.putItem(["a.b"], "k", {}), /Invalid namespace label 'a.b'/);
});
