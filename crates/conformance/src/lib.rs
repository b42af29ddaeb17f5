//! Black-box conformance suite of the Agent Server API, generated from openapi.json.
