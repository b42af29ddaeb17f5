//! Where a run came from: kept in its kwargs, where upstream keeps it, so that it survives a queue and a restart.

use agent_server_storage::{Map, RawJson};
use serde::Deserialize;
use serde_json::json;

use super::kwargs::in_configurable;
use crate::trace::TraceContext;

const TRACEPARENT: &str = "__otel_traceparent__";
const TRACESTATE: &str = "__otel_tracestate__";

/// Keeps the place of a run in a trace. Clients cannot set these keys.
pub(super) fn keep(trace: &TraceContext, configurable: &mut Map) {
    let TraceContext { traceparent, tracestate } = trace;
    configurable.insert(TRACEPARENT.into(), json!(traceparent));
    if let Some(tracestate) = tracestate {
        configurable.insert(TRACESTATE.into(), json!(tracestate));
    }
}

/// Where a run stands in a trace, and the request that it came with.
#[derive(Debug, Default)]
pub(super) struct Origin {
    pub(super) trace: Option<TraceContext>,
    pub(super) request_id: Option<String>,
}

/// Where a run came from.
pub(super) fn of(kwargs: &RawJson) -> Origin {
    #[derive(Deserialize)]
    struct Configurable {
        #[serde(rename = "__otel_traceparent__")]
        traceparent: Option<String>,
        #[serde(rename = "__otel_tracestate__")]
        tracestate: Option<String>,
        langgraph_request_id: Option<String>,
    }
    let Some(Configurable { traceparent, tracestate, langgraph_request_id: request_id }) =
        in_configurable(kwargs)
    else {
        return Origin::default();
    };
    let trace = traceparent.map(|traceparent| TraceContext { traceparent, tracestate });
    Origin { trace, request_id }
}

/// Where a run stands in a trace.
pub(crate) fn trace(kwargs: &RawJson) -> Option<TraceContext> {
    of(kwargs).trace
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_found_again() {
        let mut configurable = Map::from_iter([("langgraph_request_id".to_owned(), json!("r"))]);
        let state = Some("a=1".to_owned());
        let trace = TraceContext { traceparent: "00-1-2-01".into(), tracestate: state };
        keep(&trace, &mut configurable);
        let kwargs = RawJson::of(&json!({"input": null, "config": {"configurable": configurable}}));
        let Origin { trace: found, request_id } = of(&kwargs);
        assert_eq!((found, request_id.as_deref()), (Some(trace), Some("r")));
        assert_eq!(super::trace(&RawJson::trusted(r#"{"config":{"configurable":{}}}"#)), None);
    }
}
