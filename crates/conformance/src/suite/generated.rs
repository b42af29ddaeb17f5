//! What follows from the document alone: the generated cases, and the hostile bodies.

use agent_server_api::Operation;
use anyhow::{Result, bail};
use serde_json::Value;

use super::{Suite, build, exchange::Expected, find};
use crate::{
    cases::{self, Case, Documented, Expect},
    fixtures::Fixtures,
    hostile, not_implemented,
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
            if let Some(plain) = self.plain_body(operation, cases) {
                for (name, bytes) in hostile::bodies(&plain) {
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
        if may_change && fixtures.pending {
            // A cancel by status names no run, but there has to be one.
            fixtures.get("run_id").await?;
        }
        let request = build::request(operation, cases, case, fixtures).await?;
        let detail = match &case.detail {
            Some(detail) => Some(fixtures.fill(detail).await?),
            None => None,
        };
        let expected = Expected {
            expect: case.expect.clone(),
            without_fields: case.expect.may_succeed(),
            detail,
        };
        self.exchange(request, &expected).await
    }

    /// The plain body, if the operation and all of that are implemented.
    fn plain_body(&self, operation: &Operation, cases: &cases::Operation) -> Option<Value> {
        let mut plain = cases.body.clone().filter(|_| !self.session.lacks(operation))?;
        let lacked = not_implemented::list().fields_in(operation.name, Some(&plain));
        let lacked: Vec<_> = lacked.into_iter().map(str::to_owned).collect();
        if let Some(members) = plain.as_object_mut() {
            lacked.iter().for_each(|field| drop(members.shift_remove(field)));
        }
        Some(plain)
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
        self.exchange(request, &Expected { expect, detail: None, without_fields: false }).await
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
