//! A request, its answer, and whether that answer passes.

use agent_server_api::Operation;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::Suite;
use crate::{
    answer::Answer,
    cases::Expect,
    not_implemented,
    request::{Payload, Request},
    scenarios::is_of_caller,
};

/// What a case expects.
pub(super) struct Expected {
    pub(super) expect: Expect,
    /// The whole text of the refusal.
    pub(super) detail: Option<String>,
    /// Whether the request still says what it is about when fields that are not implemented are left out of its body.
    pub(super) without_fields: bool,
}

impl Expected {
    /// Whether an answer is the one, before it is held against the document.
    fn holds(&self, answer: &Answer) -> Result<()> {
        let status = answer.status;
        match &self.expect {
            Expect::Status(expected) => ensure!(status == *expected, "expected status {expected}"),
            Expect::OneOf(expected) => {
                ensure!(expected.contains(&status), "expected one of the statuses {expected:?}");
            }
            Expect::Documented(_) => {
                ensure!(status < 500, "expected anything but a failure");
                ensure!(!is_of_caller(status), "expected to be let in");
            }
        }
        if let Some(expected) = &self.detail {
            let detail = answer.detail().context("the answer has no detail")?;
            ensure!(detail == *expected, "expected the detail {expected:?}");
        }
        Ok(())
    }

    /// Whether the layer in front of the handlers gives this answer, so that it holds even where nothing is implemented.
    fn is_of_the_layer(&self) -> bool {
        matches!(self.expect, Expect::Status(422)) && self.detail.is_some()
    }
}

impl Suite<'_> {
    /// Sends a request and checks the answer.
    ///
    /// A field that is not implemented must be refused by name; what else the case is about is tried without it.
    pub(super) async fn exchange(&self, mut request: Request, expected: &Expected) -> Result<()> {
        let fields: Vec<String> = self.fields_lacked(&request).map(str::to_owned).collect();
        if !fields.is_empty() && !expected.is_of_the_layer() {
            self.refuses_fields(&request, &fields).await?;
            if !expected.without_fields {
                return Ok(());
            }
            if let Payload::Json(Value::Object(body)) = &mut request.payload {
                fields.iter().for_each(|field| drop(body.shift_remove(field)));
            }
        }
        let answer = self.answer(&request).await?;
        let verdict = self.verdict(request.operation, &answer, expected);
        verdict.with_context(|| self.story(&request, &answer))
    }

    fn fields_lacked<'r>(&self, request: &'r Request) -> impl Iterator<Item = &'r str> {
        let applies = self.session.ours && !self.session.lacks(request.operation);
        let fields = not_implemented::list().fields_in(request.operation.name, request.json());
        fields.into_iter().filter(move |_| applies)
    }

    async fn refuses_fields(&self, request: &Request, fields: &[String]) -> Result<()> {
        let answer = self.answer(request).await?;
        let detail = answer.detail().unwrap_or_default();
        let named = detail.contains(request.operation.name)
            && fields.iter().any(|field| detail.contains(&format!("'{field}'")));
        if answer.status == 501 && named {
            return Ok(());
        }
        let what = "not_implemented.json has a field of this body, expected a 501 that names it";
        bail!("{}\n{what}", self.story(request, &answer))
    }

    fn verdict(
        &self,
        operation: &'static Operation,
        answer: &Answer,
        expected: &Expected,
    ) -> Result<()> {
        if !self.session.lacks(operation) {
            expected.holds(answer)?;
            return self.session.contract.check(operation, answer);
        }
        if expected.is_of_the_layer() && expected.holds(answer).is_ok() {
            return Ok(());
        }
        let named = answer.detail().is_some_and(|detail| detail.contains(operation.name));
        let name = operation.name;
        ensure!(
            answer.status == 501 && named,
            "not_implemented.json has {name}, expected a 501 that names it"
        );
        Ok(())
    }

    async fn answer(&self, request: &Request) -> Result<Answer> {
        let answer = self.session.send(request).await;
        answer.with_context(|| self.session.describe(request))
    }

    fn story(&self, request: &Request, answer: &Answer) -> String {
        format!("{}\n{}\n", self.session.describe(request), answer.describe())
    }
}
