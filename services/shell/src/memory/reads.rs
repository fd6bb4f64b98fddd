//! What the BFF reads, in memory.
use super::{store::MemoryStore, troubles::troubles};
use crate::{
    port::store::{Head, LedgerRow, OutcomeRow, RawRows, Reads, StoreError},
    reads::Select,
    status::ContextReport,
    view::ViewDefinition,
};
use futures::future::{BoxFuture, ready};
use serde_json::Value;
use std::ops::Bound;
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
        select: &'a Select,
    ) -> BoxFuture<'a, Result<Option<RawRows>, StoreError>> {
        let rows = move || {
            self.with(context, |it| {
            let mut of = it.views.iter().rev();
            let table = of.find(|(of, _)| of.table == view.table && of.hash == view.hash);
            Ok(table.map(|(_, table)| {
                let all = &table.rows;
                let (rows, total): (Vec<&Value>, _) = match select {
                    Select::Keys(keys) => {
                        let mut keys: Vec<_> = keys.iter().collect();
                        keys.sort_unstable();
                        keys.dedup();
                        (keys.into_iter().filter_map(|key| all.get(key)).collect(), None)
                    }
                    Select::Page(page) => {
                        let from = page.after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
                        let to = page.before.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
                        let limit = usize::try_from(page.limit).unwrap_or_default() + 1;
                        let empty = matches!((from, to), (Bound::Excluded(a), Bound::Excluded(b)) if a >= b);
                        let total = page.count.then(|| i64::try_from(all.len()).unwrap_or(i64::MAX));
                        let mut rows: Vec<&Value> = Vec::new();
                        if !empty {
                            let range = all.range::<String, _>((from, to)).map(|(_, row)| row);
                            if page.backward {
                                rows = range.rev().take(limit).collect();
                                rows.reverse();
                            } else {
                                rows = range.take(limit).collect();
                            }
                        }
                        (rows, total)
                    }
                    Select::Range { from, to } => {
                        let after = |key: &String| from.as_ref().is_none_or(|from| key >= from);
                        let before = |key: &String| to.as_ref().is_none_or(|to| key <= to);
                        let rows = all.iter().filter(|(key, _)| after(key) && before(key));
                        (rows.map(|(_, row)| row).collect(), None)
                    }
                };
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
