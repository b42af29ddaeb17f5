//! Finding and counting assistants.
//!
//! Source: reference/assistants-crons-store-system.md, 1.7.

use agent_server_storage::{
    Cost, Page, SortOrder,
    assistants::{Assistant, Filter, SortBy},
};

use crate::{Caller, Domain, Error, Found, Result};

impl Domain {
    /// Searches assistants of configured graphs.
    ///
    /// # Errors
    /// `NotFound` for a filter on an unknown graph.
    pub async fn search_assistants(
        &self,
        caller: &Caller,
        filter: Filter,
        sort: (SortBy, SortOrder),
        page: Page,
    ) -> Result<Found<Assistant>> {
        let filter = self.of_known_graphs(filter)?;
        let scope = caller.assistants.clone();
        let wanted = Page { limit: page.limit + 1, ..page };
        let items = self
            .storage()
            .read(Cost::Scan, move |tx| {
                tx.search_assistants(&scope, &filter, sort, wanted).map_err(Error::from)
            })
            .await?;
        Ok(Found::from_lookahead(items, page.limit))
    }

    /// Counts assistants of configured graphs.
    ///
    /// # Errors
    /// As [`Domain::search_assistants`].
    pub async fn count_assistants(&self, caller: &Caller, filter: Filter) -> Result<u64> {
        let filter = self.of_known_graphs(filter)?;
        let scope = caller.assistants.clone();
        self.storage()
            .read(Cost::Scan, move |tx| tx.count_assistants(&scope, &filter).map_err(Error::from))
            .await
    }

    fn of_known_graphs(&self, mut filter: Filter) -> Result<Filter> {
        if let Some(graph_id) = &filter.graph_id {
            self.known_graph(graph_id)?;
        }
        filter.known_graphs =
            Some(self.graphs().iter().map(|graph| graph.graph_id.clone()).collect());
        Ok(filter)
    }
}
