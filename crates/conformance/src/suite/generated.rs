//! What follows from the document alone: the generated cases, and the hostile bodies.

use agent_server_api::Operation;
use anyhow::{Result, bail};
use serde_json::Value;

use super::{Suite, build, exchange::Expected, find};
use crate::{
    cases::{self, Case, Documented, Expect},
    fixtures::Fixtures,
    hostile,
    request::{Payload, Request},
    session::Session,
};

impl<'a> Suite<'a> {
    pub(super) async fn generated(&mut self, all: &[cases::Operation]) -> Result<()> {
        // Requests that are refused change nothing, so they share what they name.
        let mut shared = Fixtures::new(self.session);
        let before = state(self.session, &mut shared).await?;
        for cases in all {
            let operation = find(&cases.operation)?;
            for case in &cases.cases {
                if self.options.wants(operation, &case.name) {
                    let result = self.case(operation, cases, case, &mut shared).await;
                    self.add(operation, &case.name, result);
                }
            }
            if let Some(plain) = cases.body.as_ref().filter(|_| !self.session.lacks(operation)) {
                for (name, bytes) in hostile::bodies(plain) {
                    if self.options.wants(operation, name) {
                        let result = self.hostile(operation, cases, bytes).await;
                        self.add(operation, name, result);
                    }
                }
            }
        }
        let unchanged = unchanged(&before, &state(self.session, &mut shared).await?);
        self.add(find("get_thread")?, "refused requests change nothing", unchanged);
        Ok(())
    }

    async fn case(
        &self,
        operation: &'static Operation,
        cases: &cases::Operation,
        case: &Case,
        shared: &mut Fixtures<'a>,
    ) -> Result<()> {
        let mut own = Fixtures::for_operation(self.session, operation.name);
        let may_change = case.expect.may_succeed() && operation.method != "GET";
        let fixtures = if may_change { &mut own } else { shared };
        fixtures.next_case();
        let request = build::request(operation, cases, case, fixtures).await?;
        let detail = match &case.detail {
            Some(detail) => Some(fixtures.fill(detail).await?),
            None => None,
        };
        self.exchange(request, &Expected { expect: case.expect.clone(), detail }).await
    }

    /// A body that may be taken or refused.
    async fn hostile(
        &self,
        operation: &'static Operation,
        cases: &cases::Operation,
        bytes: Vec<u8>,
    ) -> Result<()> {
        let mut own = Fixtures::for_operation(self.session, operation.name);
        let mut request = build::plain(operation, cases, &mut own).await?;
        request.payload = Payload::Bytes(match String::from_utf8(bytes) {
            Ok(text) => own.fill(&text).await?.into_bytes(),
            Err(error) => error.into_bytes(),
        });
        let expect = Expect::Documented(Documented::Documented);
        self.exchange(request, &Expected { expect, detail: None }).await
    }
}

/// What refused requests could have changed.
async fn state(session: &Session, shared: &mut Fixtures<'_>) -> Result<[Value; 3]> {
    let thread = shared.get("thread_id").await?;
    let assistant = shared.get("assistant_id").await?;
    Ok([
        session.call(Request::to("get_thread")?.path("thread_id", &thread)).await?,
        session.call(Request::to("list_runs")?.path("thread_id", &thread)).await?,
        session.call(Request::to("get_assistant")?.path("assistant_id", assistant)).await?,
    ])
}

fn unchanged(before: &[Value], after: &[Value]) -> Result<()> {
    for (before, after) in before.iter().zip(after) {
        if before != after {
            bail!("before: {before}\nafter:  {after}");
        }
    }
    Ok(())
}
