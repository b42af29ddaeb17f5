// Stable names for what differs from run to run, so that whole answers can be compared.

import { assistants } from "./server.js";

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])/g;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?\+00:00$/;
const KINDS = { run_id: "run", thread_id: "thread", checkpoint_id: "checkpoint", assistant_id: "assistant" };
const SURROUNDINGS = /^(langgraph_(version|api_version|plan|host|api_url|request_id)|lc_versions)$/;

/** A function that gives each id a name of its kind, numbered in the order of appearance. */
export function names() {
  const known = new Map(Object.entries(assistants).map(([graph, id]) => [id, `<assistant ${graph}>`]));
  const counts = {};

  function named(id, kind) {
    if (!known.has(id)) {
      counts[kind] = (counts[kind] ?? 0) + 1;
      known.set(id, `<${kind} ${counts[kind]}>`);
    }
    return known.get(id);
  }

  function text(value, key) {
    if (TIME.test(value)) return "<time>";
    return value.replace(UUID, (id) => named(id, id.length === 32 ? "interrupt" : (KINDS[key] ?? "id")));
  }

  return function rename(value, key) {
    if (SURROUNDINGS.test(key ?? "")) return `<${key}>`;
    if (Array.isArray(value)) return value.map((item) => rename(item, key));
    if (typeof value === "string") return text(value, key);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [text(name), rename(item, name)]));
  };
}

/** Reads a stream to its end: its events as [name, data] with stable names. */
export async function record(stream, rename = names()) {
  const events = [];
  for await (const { event, data } of stream) events.push([rename(event), rename(data)]);
  return events;
}
