//! Tag System.

use std::collections::HashMap;

use agent_server_api::{types, *};

use super::{Api, Result};
use crate::{API_VERSION, docs, metrics};

impl System for Api {
    async fn health_check(
        &self,
        _cx: Context,
        query: HealthCheckQuery,
    ) -> Result<HealthCheckResponse> {
        let (healthy, status) = self.health(query.check_db).await;
        Ok(if healthy {
            HealthCheckResponse::Ok(status.into())
        } else {
            HealthCheckResponse::ServiceUnavailable(status.into())
        })
    }

    async fn health_check_root(
        &self,
        _cx: Context,
        query: HealthCheckRootQuery,
    ) -> Result<HealthCheckRootResponse> {
        let (healthy, status) = self.health(query.check_db).await;
        Ok(if healthy {
            HealthCheckRootResponse::Ok(status.into())
        } else {
            HealthCheckRootResponse::ServiceUnavailable(status.into())
        })
    }

    async fn server_info(&self, _cx: Context) -> Result<ServerInfoResponse> {
        let info = types::ServerInfo {
            version: API_VERSION.into(),
            agent_server_version: env!("CARGO_PKG_VERSION").into(),
            langgraph_py_version: (self.options.langgraph_version)(),
            langgraph_js_version: None,
            flags: types::ServerFlags {
                assistants: true,
                crons: true,
                langsmith: false,
                langsmith_tracing_replicas: false,
                langsmith_tracing_session_on_runs: false,
            },
            host: types::ServerHost {
                kind: types::HostKind::SelfHosted,
                project_id: None,
                host_revision_id: None,
                revision_id: None,
                tenant_id: None,
            },
        };
        Ok(ServerInfoResponse::Ok(info.into()))
    }

    async fn get_docs(&self, _cx: Context) -> Result<GetDocsResponse> {
        Ok(GetDocsResponse::Html(Raw::new(docs::page())))
    }

    async fn get_openapi(&self, _cx: Context) -> Result<GetOpenapiResponse> {
        let graphs = self.domain.graphs();
        let ids = graphs.iter().map(|graph| graph.graph_id.as_str());
        Ok(GetOpenapiResponse::Ok(Reply::rendered(docs::document(ids, &self.options))))
    }

    async fn get_metrics(
        &self,
        _cx: Context,
        query: GetMetricsQuery,
    ) -> Result<GetMetricsResponse> {
        let figures = self.domain.figures().await?;
        if query.format.as_deref() == Some("json") {
            return Ok(GetMetricsResponse::Ok(metrics::json(&figures).into()));
        }
        let text = metrics::prometheus(&figures, &self.options.metric_prefix);
        Ok(GetMetricsResponse::Plain(Raw::new(text)))
    }
}

impl Api {
    /// Whether all is well, and the answer that says so. The database is only asked when the caller wants it.
    async fn health(&self, check_db: Option<i64>) -> (bool, types::HealthStatus) {
        let database = match check_db {
            None | Some(0) => types::ServiceHealth::Skipped,
            Some(_) => match self.domain.check_storage().await {
                Ok(()) => types::ServiceHealth::Healthy,
                Err(error) => {
                    tracing::error!(%error, "the health check found storage broken");
                    types::ServiceHealth::Unhealthy
                }
            },
        };
        let ok = database != types::ServiceHealth::Unhealthy;
        let services = HashMap::from([("database".to_owned(), database)]);
        let services = (!self.options.disabled.meta).then_some(services);
        (ok, types::HealthStatus { ok, services })
    }
}
