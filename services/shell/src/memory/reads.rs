//! What the BFF reads, in memory.
use super::{select::select, store::MemoryStore, troubles::troubles};
use crate::{
    port::store::{Head, LedgerRow, OutcomeRow, RawRows, Reads, StoreError},
    reads::Query,
    status::ContextReport,
    view::ViewDefinition,
};
use futures::future::{BoxFuture, ready};
use uuid::Uuid;

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
            self.with(context, |it| {
                let mut of = it.views.iter().rev();
                let table = of.find(|(of, _)| of.table == view.table && of.hash == view.hash);
                Ok(table.map(|(_, table)| {
                    let (rows, total) = select(&table.rows, view, query);
                    RawRows {
                        rows: serde_json::to_string(&rows).unwrap_or_default(),
                        total,
                        checkpoints: table.checkpoints.values().cloned().collect(),
                        live: table.is_live(),
                    }
                }))
            })
        };
        Box::pin(self.seat.call("read rows", rows))
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
            let mut of = it.views.iter().rev();
            let table = of.find(|(of, _)| of.table == view.table && of.hash == view.hash);
            Ok(table
                .and_then(|(_, table)| table.checkpoints.get(&place))
                .map(|it| (it.incarnation, it.pseq)))
        });
        heard.ok().flatten()
    }

    fn changed<'a>(&'a self, _context: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(self.changed.notified())
    }
}
