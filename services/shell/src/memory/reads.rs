//! What the BFF reads, in memory.
use super::{
    select::{count, select},
    store::MemoryStore,
    troubles::troubles,
};
use crate::{
    port::store::{Changes, Export, Head, LedgerRow, Mark, OutcomeRow, RawRows, Reads, StoreError},
    reads::{Counts, Query},
    status::ContextReport,
    view::ViewDefinition,
};
use functions::Unique;
use futures::{
    StreamExt as _,
    future::{BoxFuture, ready},
    stream,
};
use serde_json::Value;
use std::collections::BTreeMap;
use uuid::Uuid;

impl MemoryStore {
    fn of_view(
        &self,
        context: &str,
        view: &ViewDefinition,
        ask: impl FnOnce(&BTreeMap<String, Value>) -> (String, Option<i64>),
    ) -> Result<Option<RawRows>, StoreError> {
        self.with(context, |it| {
            Ok(it.live_table(view).map(|table| {
                let (rows, total) = ask(&table.rows);
                let checkpoints = table.checkpoints.values().cloned().collect();
                RawRows { rows, total, checkpoints }
            }))
        })
    }
}

impl Reads for MemoryStore {
    fn outcomes<'a>(
        &'a self,
        context: &'a str,
        command_ids: &'a [Uuid],
    ) -> BoxFuture<'a, Result<Vec<OutcomeRow>, StoreError>> {
        Box::pin(self.seat.call("read outcomes", move || {
            self.with(context, |it| {
                Ok(command_ids.iter().filter_map(|id| it.outcomes.get(id).cloned()).collect())
            })
        }))
    }

    fn heads<'a>(&'a self, context: &'a str) -> BoxFuture<'a, Result<Vec<Head>, StoreError>> {
        let head =
            |it: &LedgerRow| Head { part: it.part, incarnation: it.incarnation, pseq: it.pseq };
        Box::pin(self.seat.call("read heads", move || {
            self.with(context, |it| Ok(it.ledger.values().map(head).collect()))
        }))
    }

    fn holder<'a>(
        &'a self,
        context: &'a str,
        unique: &'a Unique,
    ) -> BoxFuture<'a, Result<Option<Uuid>, StoreError>> {
        let name = (unique.kind.to_owned(), unique.value.clone());
        Box::pin(self.seat.call("read a claim", move || {
            self.with(context, |it| Ok(it.claims.get(&name).map(|it| it.stream)))
        }))
    }

    fn troubles<'a>(
        &'a self,
        context: &'a str,
    ) -> BoxFuture<'a, Result<ContextReport, StoreError>> {
        Box::pin(ready(self.with(context, |it| Ok(troubles(it)))))
    }

    fn rows<'a>(
        &'a self,
        context: &'a str,
        view: &'a ViewDefinition,
        query: &'a Query,
    ) -> BoxFuture<'a, Result<Option<RawRows>, StoreError>> {
        let rows = move || {
            self.of_view(context, view, |rows| {
                let (rows, total) = select(rows, view, query);
                (serde_json::to_string(&rows).unwrap_or_default(), total)
            })
        };
        Box::pin(self.seat.call("read rows", rows))
    }

    fn counts<'a>(
        &'a self,
        context: &'a str,
        view: &'a ViewDefinition,
        counts: &'a Counts,
    ) -> BoxFuture<'a, Result<Option<RawRows>, StoreError>> {
        let rows = move || {
            self.of_view(context, view, |rows| {
                let counted = count(rows, view, counts);
                (serde_json::to_string(&counted).unwrap_or_default(), None)
            })
        };
        Box::pin(self.seat.call("count rows", rows))
    }

    fn export<'a>(
        &'a self,
        context: &'a str,
        view: &'a ViewDefinition,
        query: &'a Query,
    ) -> BoxFuture<'a, Result<Option<Export>, StoreError>> {
        let all = Query { limit: None, ..query.clone() };
        Box::pin(async move {
            let raw = Reads::rows(self, context, view, &all).await?;
            Ok(raw.map(|RawRows { rows, checkpoints, .. }| Export {
                checkpoints,
                rows: stream::iter([Ok(rows)]).boxed(),
            }))
        })
    }

    fn changes<'a>(
        &'a self,
        context: &'a str,
        view: &'a ViewDefinition,
        after: &'a [Mark],
        limit: i64,
    ) -> BoxFuture<'a, Result<Option<Changes>, StoreError>> {
        let changes = move || {
            self.with(context, |it| {
                let generation = it.live.get(&(view.table, view.hash.clone())).copied();
                Ok(it.live_table(view).zip(generation).map(|(table, generation)| Changes {
                    generation,
                    batches: after.iter().flat_map(|it| table.changes_after(it, limit)).collect(),
                    checkpoints: table.checkpoints.values().cloned().collect(),
                }))
            })
        };
        Box::pin(self.seat.call("read changes", changes))
    }

    fn heard(
        &self,
        context: &str,
        view: &ViewDefinition,
        topic: &str,
        part: i32,
    ) -> Option<(i64, i64)> {
        let place = (topic.to_owned(), part);
        let heard = self.with::<_, StoreError>(context, |it| {
            let table = it.live_table(view);
            Ok(table.and_then(|it| it.checkpoints.get(&place)).map(|it| (it.incarnation, it.pseq)))
        });
        heard.ok().flatten()
    }

    fn changed<'a>(&'a self, _context: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(self.changed.notified())
    }
}
