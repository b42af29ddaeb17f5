//! What small values have in common: the words that a compressor finds in them instead of in the values themselves.
//!
//! Most rows are some hundred bytes of keys that every other row has too. Compressed with this text in mind they are a third
//! of that, and what SQLite would put on a page of its own (a quarter of a page is the limit) stays beside its neighbours.
//!
//! What must stay true: data that was written with a text can only be read with the same text. Once released, a text is never
//! changed; a better one gets a marker of its own in [`crate::zip`].

use std::sync::LazyLock;

use zstd::dict::{DecoderDictionary, EncoderDictionary};

/// The first text: metadata of checkpoints, kwargs of runs, statuses of tasks, messages as JSON, the same packed, and the
/// inner part of checkpoints. What occurs most stands last.
const TEXT: &[&[u8]] = &[
    // Events and statuses of tasks.
    br#"{"finished":false,"result":null,"interrupts":[{"value":{"question":"","action_requests":[{"name":"","args":{},"description":""}],"review_configs":[{"action_name":"","allowed_decisions":["approve","edit","reject"]}]},"id":""}],"error":""#,
    br#"{"type":"task_result","step":1,"timestamp":"2026-01-01T00:00:00.000000+00:00","payload":{"config":{"configurable":{"checkpoint_ns":"","checkpoint_id":""#,
    br#"[{"id":"00000000-0000-0000-0000-000000000000","name":"__start__","path":["__pregel_pull","__start__"],"checkpoint":null}]"#,
    br#"[{"id":"00000000-0000-0000-0000-000000000000","name":"agent","path":["__pregel_push",0,false],"checkpoint":{"thread_id":""#,
    br#"metadatarun_idattempteventsvaluesupdatesmessages/metadatamessages/completemessages/partialmessagescustomdebugtaskscheckpointserrorend"#,
    // Messages.
    br#"{"content":[{"type":"text","text":"","index":0}],"additional_kwargs":{"tool_calls":[{"id":"call_","function":{"arguments":"{}","name":""},"type":"function"}],"refusal":null},"response_metadata":{"token_usage":{"completion_tokens":0,"prompt_tokens":0,"total_tokens":0,"completion_tokens_details":null,"prompt_tokens_details":null},"model_provider":"openai","model_name":"","system_fingerprint":null,"finish_reason":"stop","logprobs":null,"stop_reason":"end_turn"},"usage_metadata":{"input_tokens":0,"output_tokens":0,"total_tokens":0,"input_token_details":{"cache_read":0,"cache_creation":0},"output_token_details":{"reasoning":0}}}"#,
    br#"{"content":"","additional_kwargs":{},"response_metadata":{},"type":"tool","name":"","id":"","tool_call_id":"call_","artifact":null,"status":"success"}"#,
    br#"{"content":"","additional_kwargs":{},"response_metadata":{},"type":"human","name":null,"id":"","example":false}"#,
    br#"{"finished":true,"result":{"messages":[{"role":"user","content":"","additional_kwargs":{},"response_metadata":{},"type":"ai","name":null,"id":"lc_run--","tool_calls":[{"name":"","args":{},"id":"call_","type":"tool_call"}],"invalid_tool_calls":[],"usage_metadata":null}]},"interrupts":[],"error":null}"#,
    b"\xb7langchain_core.messages.tool\xabToolMessage\xbalangchain_core.messages.human\xacHumanMessage\xa6system\xadSystemMessage\xa9tool_call\xactool_call_id\xa8artifact\xa6status\xa7success",
    b"\x00\x91\xc7\xfd\x05\x94\xbalangchain_core.messages.ai\xa9AIMessage\x89\xa7content\xb1additional_kwargs\x80\xb1response_metadata\x80\xa4type\xa2ai\xa4name\xc0\xa2id\xd9$lc_run--\xaatool_calls\x90\xb2invalid_tool_calls\x90\xaeusage_metadata\xc0\xb3model_validate_json\xa4role\xa4user\xa7content",
    // Kwargs of a run.
    br#"{"input":{"messages":[{"role":"user","content":""}]},"command":null,"config":{"configurable":{"langgraph_auth_user":null,"langgraph_auth_user_id":"","langgraph_auth_permissions":[],"langgraph_request_id":"","__request_start_time_ms__":17,"__after_seconds__":0,"run_id":"","thread_id":"","graph_id":"agent","assistant_id":"","user_id":""},"metadata":{"created_by":"system","graph_id":"agent","assistant_id":"","user_id":""},"tags":[],"recursion_limit":25},"context":{},"stream_mode":["values","messages-tuple","updates"],"interrupt_before":null,"interrupt_after":null,"webhook":null,"feedback_keys":null,"temporary":false,"subgraphs":false,"resumable":true,"checkpoint_during":true,"durability":"async"}"#,
    // A checkpoint: versions, inner part, metadata.
    br#"[["messages","00000000000000000000000000000002.0."],["__start__","00000000000000000000000000000001.0."]]"#,
    b"\x00\x86\xa1v\x04\xa2ts\xd9 2026-01-01T00:00:00.000000+00:00\xb0channel_versions\x83\xa9__start__\xd9300000000000000000000000000000001.0.\xa8messages\xd9400000000000000000000000000000002.0.\xaebranch:to:agent\xd9300000000000000000000000000000002.0.\xadversions_seen\x83\xa9__input__\x80\xa9__start__\x81\xa9__start__\xd9400000000000000000000000000000001.0.\xa5agent\x81\xaebranch:to:agent\xd9300000000000000000000000000000002.0.\xb0updated_channels\x92\xaebranch:to:agent\xa8messages\xa6inline\x81\xaebranch:to:agent\xc0",
    br#"{"graph_id":"agent","assistant_id":"","user_id":"","created_by":"system","run_attempt":1,"langgraph_version":"1.2.","langgraph_api_version":"0.16.7","langgraph_plan":"self-hosted","langgraph_host":"self-hosted","langgraph_api_url":"http://127.0.0.1:2024","thread_id":"","run_id":"01a","source":"input","source":"update","source":"loop","step":1,"parents":{"":"1f"},"langgraph_auth_user_id":"","langgraph_request_id":""}"#,
];

/// Level 1 of a prepared dictionary: higher ones gain little on values as small as these.
pub(crate) static ENCODER: LazyLock<EncoderDictionary<'static>> =
    LazyLock::new(|| EncoderDictionary::copy(&TEXT.concat(), 1));

/// The same for reading.
pub(crate) static DECODER: LazyLock<DecoderDictionary<'static>> =
    LazyLock::new(|| DecoderDictionary::copy(&TEXT.concat()));
