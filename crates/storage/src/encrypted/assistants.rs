//! Assistants and their versions behind the cipher.

use serde_json::Value;

use super::{
    fields::{ASSISTANT, Model},
    replaced::Stored,
    threads::ROUND,
    view::{Sealable, Taken, View, context_of, put_map},
};
use crate::{
    AssistantId, Map, Page, ReadTx, Result, Scope, SortOrder, Timestamp, WriteTx,
    assistants::{Assistant, Filter, Read, SortBy, Write},
};

const ALL: &Scope = &Scope::server();

impl Sealable for Assistant {
    const MODEL: Model = ASSISTANT;

    fn take(&mut self, _: bool) -> Result<Value> {
        let taken = Taken::default().map("metadata", &mut self.metadata);
        Ok(taken.map("config", &mut self.config).map("context", &mut self.context).value())
    }

    fn put(&mut self, mut fields: Value) {
        put_map(&mut fields, "metadata", &mut self.metadata);
        put_map(&mut fields, "config", &mut self.config);
        put_map(&mut fields, "context", &mut self.context);
    }

    fn stored(&self, fields: Value) -> Option<Stored> {
        let mut row = self.clone();
        row.put(fields);
        Some(Stored::Assistant(Box::new(row)))
    }
}

/// A version of an assistant, which has a row of its own.
pub(super) struct Version(pub(super) Assistant);

impl Sealable for Version {
    const MODEL: Model = ASSISTANT;

    fn take(&mut self, stored: bool) -> Result<Value> {
        self.0.take(stored)
    }

    fn put(&mut self, fields: Value) {
        self.0.put(fields);
    }

    fn stored(&self, fields: Value) -> Option<Stored> {
        let mut row = self.0.clone();
        row.put(fields);
        Some(Stored::Version(Box::new(row)))
    }
}

impl<T: ReadTx + ?Sized> View<'_, T> {
    fn assistant_needles(&self, filter: &Filter) -> Result<Filter> {
        let metadata = self.needle(&ASSISTANT, "metadata", filter.metadata.as_ref())?;
        Ok(Filter { metadata, ..filter.clone() })
    }

    fn walk_assistants(
        &self,
        scope: &Scope,
        filter: &Filter,
        sort: (SortBy, SortOrder),
        mut visit: impl FnMut(Assistant) -> bool,
    ) -> Result<()> {
        let mut page = Page { limit: ROUND, offset: 0 };
        loop {
            let found = self.tx.search_assistants(ALL, filter, sort, page)?;
            let is_last = found.len() < ROUND as usize;
            for assistant in self.opened(found)? {
                if scope.allows(&assistant.metadata) && !visit(assistant) {
                    return Ok(());
                }
            }
            if is_last {
                return Ok(());
            }
            page.offset += ROUND;
        }
    }
}

impl<T: ReadTx + ?Sized> Read for View<'_, T> {
    fn get_assistant(&self, scope: &Scope, id: AssistantId) -> Result<Option<Assistant>> {
        let assistant = self.opened_one(self.tx.get_assistant(ALL, id)?)?;
        Ok(assistant.filter(|assistant| scope.allows(&assistant.metadata)))
    }

    fn search_assistants(
        &self,
        scope: &Scope,
        filter: &Filter,
        sort: (SortBy, SortOrder),
        page: Page,
    ) -> Result<Vec<Assistant>> {
        let filter = self.assistant_needles(filter)?;
        if scope.is_everything() {
            return self.opened(self.tx.search_assistants(ALL, &filter, sort, page)?);
        }
        let (mut skipped, mut found) = (0, Vec::new());
        if page.limit == 0 {
            return Ok(found);
        }
        self.walk_assistants(scope, &filter, sort, |assistant| {
            if skipped < page.offset {
                skipped += 1;
                return true;
            }
            found.push(assistant);
            found.len() < page.limit as usize
        })?;
        Ok(found)
    }

    fn count_assistants(&self, scope: &Scope, filter: &Filter) -> Result<u64> {
        let filter = self.assistant_needles(filter)?;
        if scope.is_everything() {
            return self.tx.count_assistants(ALL, &filter);
        }
        let mut count = 0;
        let sort = (SortBy::AssistantId, SortOrder::Asc);
        self.walk_assistants(scope, &filter, sort, |_| {
            count += 1;
            true
        })?;
        Ok(count)
    }

    fn list_assistant_versions(
        &self,
        id: AssistantId,
        metadata: Option<&Map>,
        page: Page,
    ) -> Result<Vec<Assistant>> {
        let metadata = self.needle(&ASSISTANT, "metadata", metadata)?;
        let found = self.tx.list_assistant_versions(id, metadata.as_ref(), page)?;
        let found = self.opened(found.into_iter().map(Version).collect())?;
        Ok(found.into_iter().map(|version| version.0).collect())
    }

    fn get_assistant_version(&self, id: AssistantId, version: u32) -> Result<Option<Assistant>> {
        let found = self.tx.get_assistant_version(id, version)?.map(Version);
        Ok(self.opened_one(found)?.map(|version| version.0))
    }

    fn latest_assistant_version(&self, id: AssistantId) -> Result<u32> {
        self.tx.latest_assistant_version(id)
    }
}

impl<T: WriteTx + ?Sized> Write for View<'_, T> {
    fn insert_assistant(&self, assistant: &Assistant) -> Result<()> {
        self.tx.insert_assistant(&self.sealed(assistant.clone(), None)?)
    }

    fn update_assistant(&self, scope: &Scope, assistant: &Assistant) -> Result<bool> {
        let Some(old) = self.tx.get_assistant(ALL, assistant.assistant_id)? else {
            return Ok(false);
        };
        let own = context_of(&old.metadata);
        if !scope.is_everything() && self.get_assistant(scope, assistant.assistant_id)?.is_none() {
            return Ok(false);
        }
        self.tx.update_assistant(ALL, &self.sealed(assistant.clone(), own)?)
    }

    fn rewrite_assistant(&self, assistant: &Assistant) -> Result<()> {
        self.tx.rewrite_assistant(&self.sealed(assistant.clone(), None)?)
    }

    fn rewrite_assistant_version(&self, assistant: &Assistant) -> Result<()> {
        self.tx.rewrite_assistant_version(&self.sealed(assistant.clone(), None)?)
    }

    fn touch_assistant(&self, id: AssistantId, now: Timestamp) -> Result<()> {
        self.tx.touch_assistant(id, now)
    }

    fn delete_assistant(&self, scope: &Scope, id: AssistantId) -> Result<bool> {
        if !scope.is_everything() && self.get_assistant(scope, id)?.is_none() {
            return Ok(false);
        }
        self.tx.delete_assistant(ALL, id)
    }
}
