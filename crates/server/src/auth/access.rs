//! What a request may touch, found out event by event.

use std::sync::Arc;

use agent_server_api::Context;
use agent_server_domain::{
    Caller,
    auth::{Allowed, Authorizer, Event, Refusal, User},
    runs::Within,
    storage::{Map, RawJson},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Identity;
use crate::{
    error::{Error, invalid},
    headers::Forwarded,
    webhooks::InProcess,
};

type Result<T> = std::result::Result<T, Error>;

/// Asks on behalf of a request what it may touch.
///
/// Its caller may touch nothing of a resource until an event of that resource was allowed. Where nobody decides, everything
/// is allowed, and values are never made.
pub(crate) struct Access {
    caller: Caller,
    authorizer: Option<(Arc<dyn Authorizer>, Arc<User>)>,
}

/// Asks about the one event of a request.
pub(crate) async fn allowed(
    cx: &Context,
    event: Event,
    value: impl FnOnce() -> Value + Send,
) -> Result<Caller> {
    let mut access = Access::of(cx);
    access.ask(event, value).await?;
    Ok(access.into_caller())
}

impl Access {
    /// Of a request.
    pub(crate) fn of(cx: &Context) -> Self {
        let id = cx.request_id.clone();
        let (caller, authorizer) = match cx.get::<Identity>().cloned() {
            None => (Caller::open(None, id), None),
            Some(Identity { user: None, .. }) => {
                (Caller::closed(Arc::new(User::named("", vec![])), id), None)
            }
            Some(Identity { user, authorizer: None }) => (Caller::open(user, id), None),
            Some(Identity { user: Some(user), authorizer: Some(authorizer) }) => {
                (Caller::closed(Arc::clone(&user), id), Some((authorizer, user)))
            }
        };
        let forwarded = cx.get::<Forwarded>().map(|Forwarded(headers)| Arc::clone(headers));
        let (within, trace) = (cx.get::<Within>().copied(), cx.get().cloned());
        let counts = cx.get::<InProcess>().is_none();
        Self { caller: Caller { forwarded, within, trace, counts, ..caller }, authorizer }
    }

    /// Asks about an event. From now on the caller may touch what was allowed of its resource; filters of several events
    /// add up.
    pub(crate) async fn ask(
        &mut self,
        event: Event,
        value: impl FnOnce() -> Value + Send,
    ) -> Result<Changed> {
        let Allowed { filter, value } = self.decide(event, value).await?;
        if self.authorizer.is_some() {
            self.caller.allow(event.resource, filter);
        }
        Ok(Changed { event, value })
    }

    /// Asks about an event whose filter means nothing: there is no object yet that it could be compared with.
    pub(crate) async fn ask_unfiltered(
        &mut self,
        event: Event,
        value: impl FnOnce() -> Value + Send,
    ) -> Result<Changed> {
        let Allowed { value, .. } = self.decide(event, value).await?;
        if self.authorizer.is_some() {
            self.caller.allow(event.resource, None);
        }
        Ok(Changed { event, value })
    }

    async fn decide(&self, event: Event, value: impl FnOnce() -> Value + Send) -> Result<Allowed> {
        let Some((authorizer, user)) = &self.authorizer else { return Ok(Allowed::default()) };
        if !authorizer.is_asked(event).await.map_err(refused)? {
            return Ok(Allowed::default());
        }
        let Value::Object(value) = value() else {
            return Err(refused(Refusal::internal(format!("the value of {event} is no object"))));
        };
        authorizer.authorize(user, event, &value).await.map_err(refused)
    }

    /// Whether somebody decides, so that ids have to be made before.
    pub(crate) fn is_decided(&self) -> bool {
        self.authorizer.is_some()
    }

    /// Name of the user who asks; empty where nobody is asked.
    pub(crate) fn user_id(&self) -> &str {
        self.caller.user.as_ref().map_or("", |user| &user.identity)
    }

    /// Who asks, with what was allowed.
    pub(crate) fn into_caller(self) -> Caller {
        self.caller
    }
}

/// Raw JSON for those who decide. Its text is JSON by then, but may hold what no value can (half a surrogate pair, a number
/// that is too large): that is refused, for nobody could decide about it.
pub(crate) fn readable(json: &RawJson) -> Result<Value> {
    json.parse().map_err(|error| invalid(format!("Invalid value in request body: {error}")))
}

fn refused(refusal: Refusal) -> Error {
    Error::Refused(refusal)
}

/// The value of an event after those who decide have seen it.
pub(crate) struct Changed {
    event: Event,
    value: Option<Map>,
}

impl Changed {
    /// A member of the value; `given` where nobody changed the value. One that was taken out is the default.
    pub(crate) fn member<T: DeserializeOwned + Default>(
        &mut self,
        name: &str,
        given: T,
    ) -> Result<T> {
        let Some(value) = &mut self.value else { return Ok(given) };
        match value.get_mut(name).map(Value::take) {
            None | Some(Value::Null) => Ok(T::default()),
            Some(changed) => serde_json::from_value(changed).map_err(|error| {
                refused(Refusal::internal(format!(
                    "a handler of {} made '{name}' of the value something else: {error}",
                    self.event
                )))
            }),
        }
    }
}
