//! Playing the scenarios.

use agent_server_api::Operation;
use anyhow::{Result, anyhow};

use super::{Suite, build, exchange::Expected, find};
use crate::{
    cases::{self, Expect},
    fixtures::Fixtures,
    request::{Payload, Request},
    scenarios::{self, Means, Stage, Told},
};

/// Largest body that is sent to find out that it is refused, bytes.
const MOST_SENT: u64 = 16 << 20;

/// The name that the case of a status has in the report.
pub(super) fn name(status: u16) -> String {
    format!("answers {status}")
}

impl Suite<'_> {
    pub(super) async fn scenarios(&mut self, all: &[cases::Operation]) -> Result<()> {
        for cases in all {
            let operation = find(&cases.operation)?;
            if self.session.lacks(operation) {
                continue;
            }
            for status in &cases.scenarios {
                if self.options.wants(operation, &name(*status)) {
                    self.scenario(operation, cases, *status).await;
                }
            }
        }
        Ok(())
    }

    async fn scenario(
        &mut self,
        operation: &'static Operation,
        cases: &cases::Operation,
        status: u16,
    ) {
        let name = name(status);
        match scenarios::find(operation.name, status) {
            None => self.skip(operation, &name, "there is no scenario for it yet"),
            Some(Means::Unreachable(why)) => self.skip(operation, &name, why),
            // For each of these there is a server of its own.
            Some(Means::FullDisk | Means::Stranger | Means::Limited | Means::WrongContext)
                if self.options.url.is_none() => {}
            Some(Means::Stranger) => {
                self.skip(operation, &name, "only a server that the suite starts asks who one is");
            }
            Some(Means::Limited) => {
                self.skip(operation, &name, "only a server that the suite starts has limits");
            }
            Some(Means::WrongContext) => {
                self.skip(operation, &name, "only a server that the suite starts encrypts");
            }
            Some(Means::FullDisk) => {
                self.skip(
                    operation,
                    &name,
                    "only a server that the suite starts can be put on a full disk",
                );
            }
            Some(means) => match self.play(operation, cases, status, means).await {
                Ok(Some(why)) if self.options.complete => {
                    self.add(operation, &name, Err(anyhow!(why)))
                }
                Ok(Some(why)) => self.skip(operation, &name, &why),
                result => self.add(operation, &name, result.map(drop)),
            },
        }
    }

    /// Plays one scenario; says why if it cannot be played.
    async fn play(
        &self,
        operation: &'static Operation,
        cases: &cases::Operation,
        status: u16,
        means: Means,
    ) -> Result<Option<String>> {
        let mut own = Fixtures::for_operation(self.session, operation.name);
        let plain = build::plain(operation, cases, &mut own).await?;
        let told = match means {
            Means::Story(story) => story(Stage { session: self.session, plain }).await?,
            _ => return self.large_body(plain).await.map(|()| None),
        };
        let (request, detail) = match told {
            Told::Send(request) => (request, None),
            Told::Refused(request, detail) => (request, Some(detail)),
            Told::Skip(why) => return Ok(Some(why)),
        };
        let expected = Expected { expect: Expect::Status(status), detail, without_fields: false };
        self.exchange(request, &expected).await.map(|()| None)
    }

    /// Announces a body that is too large, then sends one without saying so.
    async fn large_body(&self, plain: Request) -> Result<()> {
        let limit = self.session.body_limit;
        let mut payloads = vec![Payload::Announced(limit + 1)];
        if limit <= MOST_SENT {
            payloads.push(Payload::Chunked(limit + 1));
        }
        let expected = Expected {
            expect: Expect::Status(413),
            detail: Some(format!("Request body too large (limit: {limit} bytes)")),
            without_fields: false,
        };
        for payload in payloads {
            self.exchange(Request { payload, ..plain.clone() }, &expected).await?;
        }
        Ok(())
    }
}
