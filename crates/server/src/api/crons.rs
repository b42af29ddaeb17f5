//! Tag Crons.

use agent_server_api::{types, *};
use agent_server_domain::{
    Caller,
    auth::Event,
    crons::{NewCron, Patch},
    storage::{
        CronId, Page, RawJson,
        crons::{Cron, Filter, OnRunCompleted, SortBy},
    },
};
use serde_json::{Value, json};

use super::{Access, Api, Result, allowed, body_id, context, page, pagination, readable};
use crate::convert;

impl Crons for Api {
    async fn create_thread_cron(
        &self,
        cx: Context,
        path: CreateThreadCronPath,
        body: Body<types::ThreadCronCreate>,
    ) -> Result<CreateThreadCronResponse> {
        let payload = payload(&body);
        let body = body.value;
        context(body.context)?;
        let new = NewCron {
            cron_id: None,
            assistant_id: body.assistant_id,
            thread_id: Some(path.thread_id.into()),
            schedule: body.schedule,
            timezone: body.timezone,
            end_time: body.end_time,
            metadata: body.metadata.unwrap_or_default(),
            on_run_completed: OnRunCompleted::default(),
            enabled: body.enabled.unwrap_or(true),
            webhook: body.webhook,
            payload,
        };
        let cron = self.add_cron(&cx, new).await?;
        Ok(CreateThreadCronResponse::Ok(cron_of(&cron).into()))
    }

    async fn create_cron(
        &self,
        cx: Context,
        body: Body<types::CronCreate>,
    ) -> Result<CreateCronResponse> {
        let payload = payload(&body);
        let body = body.value;
        context(body.context)?;
        let new = NewCron {
            cron_id: None,
            assistant_id: body.assistant_id,
            thread_id: None,
            schedule: body.schedule,
            timezone: body.timezone,
            end_time: body.end_time,
            metadata: body.metadata.unwrap_or_default(),
            on_run_completed: body.on_run_completed.map(stored).unwrap_or_default(),
            enabled: body.enabled.unwrap_or(true),
            webhook: body.webhook,
            payload,
        };
        let cron = self.add_cron(&cx, new).await?;
        Ok(CreateCronResponse::Ok(cron_of(&cron).into()))
    }

    async fn search_crons(
        &self,
        cx: Context,
        body: Body<types::CronSearch>,
    ) -> Result<SearchCronsResponse> {
        let body = body.value;
        let ids = ids(body.assistant_id.as_deref(), body.thread_id.as_deref())?;
        let filter = Filter { enabled: body.enabled, metadata: body.metadata, ..ids };
        let sort_by = match body.sort_by {
            None | Some(types::CronSortBy::CreatedAt) => SortBy::CreatedAt,
            Some(types::CronSortBy::CronId) => SortBy::CronId,
            Some(types::CronSortBy::AssistantId) => SortBy::AssistantId,
            Some(types::CronSortBy::ThreadId) => SortBy::ThreadId,
            Some(types::CronSortBy::NextRunDate) => SortBy::NextRunDate,
            Some(types::CronSortBy::EndTime) => SortBy::EndTime,
            Some(types::CronSortBy::UpdatedAt) => SortBy::UpdatedAt,
        };
        let sort = (sort_by, convert::sort_order(body.sort_order));
        let page = page(body.limit, body.offset);
        let select = body.select.unwrap_or_default();
        let caller = may_search(&cx, &filter, page).await?;
        let found = self.domain.search_crons(&caller, filter, sort, page).await?;
        let crons: Vec<_> = found.items.iter().map(|cron| cron_partial(cron, &select)).collect();
        let mut reply = Reply::new(&crons);
        for (name, value) in pagination(page, crons.len(), found.more) {
            reply = reply.with_header(name, value);
        }
        Ok(SearchCronsResponse::Ok(reply))
    }

    async fn count_crons(
        &self,
        cx: Context,
        body: Body<types::CronCountRequest>,
    ) -> Result<CountCronsResponse> {
        let body = body.value;
        let ids = ids(body.assistant_id.as_deref(), body.thread_id.as_deref())?;
        let filter = Filter { metadata: body.metadata, ..ids };
        let caller = may_search(&cx, &filter, Page { limit: 0, offset: 0 }).await?;
        let count = self.domain.count_crons(&caller, filter).await?;
        Ok(CountCronsResponse::Ok(Reply::new(&types::CountResponse(
            i64::try_from(count).unwrap_or(i64::MAX),
        ))))
    }

    async fn get_cron(&self, cx: Context, path: GetCronPath) -> Result<GetCronResponse> {
        let id = CronId::from(path.cron_id);
        let caller = allowed(&cx, Event::CRONS_READ, || json!({"cron_id": id})).await?;
        let cron = self.domain.get_cron(&caller, id).await?;
        Ok(GetCronResponse::Ok(cron_of(&cron).into()))
    }

    async fn patch_cron(
        &self,
        cx: Context,
        path: PatchCronPath,
        body: Body<types::CronPatch>,
    ) -> Result<PatchCronResponse> {
        let payload = payload(&body);
        let body = body.value;
        context(body.context)?;
        let mut patch = Patch {
            schedule: body.schedule,
            timezone: body.timezone,
            end_time: body.end_time,
            metadata: body.metadata,
            on_run_completed: body.on_run_completed.map(stored),
            enabled: body.enabled,
            webhook: body.webhook,
            payload,
        };
        let id = CronId::from(path.cron_id);
        let mut access = Access::of(&cx);
        let payload = match access.is_decided() {
            true => readable(&patch.payload)?,
            false => Value::Null,
        };
        let value = || {
            json!({
                "cron_id": id, "schedule": patch.schedule, "end_time": patch.end_time,
                "enabled": patch.enabled, "on_run_completed": patch.on_run_completed.map(OnRunCompleted::as_str),
                "metadata": patch.metadata, "payload": payload,
            })
        };
        let mut changed = access.ask(Event::CRONS_UPDATE, value).await?;
        patch.metadata = changed.member("metadata", patch.metadata.take())?;
        let cron = self.domain.patch_cron(&access.into_caller(), id, patch).await?;
        Ok(PatchCronResponse::Ok(cron_of(&cron).into()))
    }

    async fn delete_cron(&self, cx: Context, path: DeleteCronPath) -> Result<DeleteCronResponse> {
        let id = CronId::from(path.cron_id);
        let caller = allowed(&cx, Event::CRONS_DELETE, || json!({"cron_id": id})).await?;
        self.domain.delete_cron(&caller, id).await?;
        Ok(DeleteCronResponse::NoContent)
    }
}

impl Api {
    /// Asks about a cron and creates it.
    async fn add_cron(&self, cx: &Context, mut new: NewCron) -> Result<Cron> {
        let mut access = Access::of(cx);
        if access.is_decided() {
            let id = self.domain.new_cron_id();
            new.cron_id = Some(id);
            let user = access.user_id().to_owned();
            let payload = readable(&new.payload)?;
            let value = || {
                json!({
                    "payload": payload, "schedule": new.schedule, "cron_id": id,
                    "thread_id": new.thread_id, "user_id": user, "end_time": new.end_time,
                    "metadata": new.metadata,
                })
            };
            let mut changed = access.ask(Event::CRONS_CREATE, value).await?;
            new.metadata = changed.member("metadata", std::mem::take(&mut new.metadata))?;
            if let Ok(assistant) = self.domain.resolve_assistant(&new.assistant_id)
                && !self.domain.is_system_assistant(assistant).await?
            {
                access.ask(Event::ASSISTANTS_READ, || json!({"assistant_id": assistant})).await?;
            }
            if let Some(thread) = new.thread_id {
                let value = || json!({"thread_id": thread, "metadata": {}});
                access.ask(Event::THREADS_READ, value).await?;
            }
        }
        Ok(self.domain.create_cron(&access.into_caller(), new).await?)
    }
}

/// Asks about a search for crons.
async fn may_search(cx: &Context, filter: &Filter, page: Page) -> Result<Caller> {
    let mut access = Access::of(cx);
    let value = || {
        json!({
            "assistant_id": filter.assistant_id, "thread_id": filter.thread_id, "limit": page.limit,
            "offset": page.offset, "metadata": filter.metadata,
        })
    };
    access.ask(Event::CRONS_SEARCH, value).await?;
    match filter.thread_id {
        Some(thread) => access.ask(Event::THREADS_READ, || json!({"thread_id": thread})).await?,
        None => access.ask(Event::THREADS_SEARCH, || json!({})).await?,
    };
    Ok(access.into_caller())
}

/// The whole body, members that the document does not know included.
fn payload<T>(body: &Body<T>) -> RawJson {
    RawJson::trusted(String::from_utf8_lossy(&body.raw))
}

/// A filter of the ids of a body.
fn ids(assistant: Option<&str>, thread: Option<&str>) -> Result<Filter> {
    let assistant_id = assistant.map(|id| body_id(id, "assistant")).transpose()?.map(Into::into);
    let thread_id = thread.map(|id| body_id(id, "thread")).transpose()?.map(Into::into);
    Ok(Filter { assistant_id, thread_id, ..Filter::default() })
}

fn stored(on_run_completed: types::OnRunCompleted) -> OnRunCompleted {
    match on_run_completed {
        types::OnRunCompleted::Delete => OnRunCompleted::Delete,
        types::OnRunCompleted::Keep => OnRunCompleted::Keep,
    }
}

fn sent(on_run_completed: OnRunCompleted) -> types::OnRunCompleted {
    match on_run_completed {
        OnRunCompleted::Delete => types::OnRunCompleted::Delete,
        OnRunCompleted::Keep => types::OnRunCompleted::Keep,
    }
}

/// A cron on the wire.
fn cron_of(cron: &Cron) -> types::Cron {
    types::Cron {
        cron_id: cron.cron_id.0,
        assistant_id: cron.assistant_id.0,
        thread_id: cron.thread_id.map(|id| id.0),
        user_id: cron.user_id.clone(),
        end_time: cron.end_time.map(convert::time),
        schedule: cron.schedule.clone(),
        timezone: cron.timezone.clone(),
        payload: convert::raw(&cron.payload),
        next_run_date: cron.next_run_date.map(convert::time),
        metadata: cron.metadata.clone(),
        on_run_completed: cron.on_run_completed.map(sent),
        enabled: cron.enabled,
        created_at: convert::time(cron.created_at),
        updated_at: convert::time(cron.updated_at),
    }
}

/// A cron narrowed to some of its fields; all of them for an empty selection.
fn cron_partial(cron: &Cron, select: &[types::CronSelect]) -> types::CronPartial {
    use types::CronSelect as S;
    let all = cron_of(cron);
    let keep = |field: S| select.is_empty() || select.contains(&field);
    types::CronPartial {
        cron_id: keep(S::CronId).then_some(all.cron_id),
        assistant_id: keep(S::AssistantId).then_some(all.assistant_id),
        thread_id: keep(S::ThreadId).then_some(all.thread_id),
        user_id: keep(S::UserId).then_some(all.user_id),
        end_time: keep(S::EndTime).then_some(all.end_time),
        schedule: keep(S::Schedule).then_some(all.schedule),
        timezone: keep(S::Timezone).then_some(all.timezone),
        payload: keep(S::Payload).then_some(all.payload),
        next_run_date: keep(S::NextRunDate).then_some(all.next_run_date),
        metadata: keep(S::Metadata).then_some(all.metadata),
        on_run_completed: keep(S::OnRunCompleted).then_some(all.on_run_completed),
        enabled: keep(S::Enabled).then_some(all.enabled),
        created_at: keep(S::CreatedAt).then_some(all.created_at),
        updated_at: keep(S::UpdatedAt).then_some(all.updated_at),
    }
}
