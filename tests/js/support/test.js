// A test that fails instead of hanging.

import { test as unlimited } from "node:test";

/** `test` of node:test with a limit of a minute; a healthy test takes a second. */
export function test(name, body) {
  return unlimited(name, { timeout: 60_000 }, body);
}
