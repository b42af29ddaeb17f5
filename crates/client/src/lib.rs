//! Typed client of the Agent Server API, generated from openapi.json.
