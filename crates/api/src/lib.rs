//! Server half of the API, generated from openapi.json: traits, router, validators, operation table.
