//! Which records of a partition are next: what a batch that failed left behind is read again, in order.
use super::{
    received::{Arrived, Body},
    shard::{Handler, Trouble},
};
use crate::port::{
    log::{Consumer as _, Log},
    store::Store,
};
use std::{collections::BTreeMap, sync::Arc};

impl<L: Log, S: Store> Handler<L, S> {
    /// Keeps what is next in order. Records that were passed already are answered again; a jump means that a
    /// batch was dropped, or that the group's offset is ahead of the ledger: back to where we are (W4). Questions have no
    /// answer that was kept: they are evaluated once more, and come first (W5).
    pub(super) async fn sort(&mut self, records: Vec<Arrived>) -> Result<Vec<Arrived>, Trouble> {
        let mut fresh = Vec::with_capacity(records.len());
        let mut asked = Vec::new();
        let mut passed = Vec::new();
        let mut back: BTreeMap<i32, i64> = BTreeMap::new();
        for record in records {
            let Some(part) = self.parts.get_mut(&record.part) else { continue };
            if back.contains_key(&record.part) {
                continue;
            }
            let expected = part.expect.unwrap_or(part.row.next_offset);
            if record.offset > expected && part.sought != Some(expected) {
                back.insert(record.part, expected);
                continue;
            }
            if part.expect.is_some_and(|it| record.offset < it)
                && record.offset >= part.row.next_offset
            {
                // Handed out twice.
                continue;
            }
            if record.offset >= part.row.next_offset {
                part.expect = Some(record.offset + 1);
                fresh.push(record);
            } else if is_question(&record) {
                asked.push(record);
            } else {
                passed.push(record);
            }
        }
        for (part, offset) in back {
            self.go_back(part, offset).await?;
        }
        asked.append(&mut fresh);
        let mut fresh = asked;
        if !passed.is_empty() {
            let recreated = self.answer_again(passed).await?;
            fresh.retain(|it| !recreated.contains(&it.part));
        }
        Ok(fresh)
    }

    pub(super) async fn go_back(&mut self, part: i32, offset: i64) -> Result<(), Trouble> {
        let topic = Arc::clone(&self.settings.command_topic);
        let (low, _) = self.consumer.ends(&topic, part).await?;
        if low > offset {
            tracing::error!(
                context = self.settings.context,
                part,
                from = offset,
                to = low,
                "commands are gone: the log dropped them before they were decided; keep commands longer"
            );
        }
        tracing::info!(context = self.settings.context, part, offset, "reading again after a jump");
        self.consumer.seek(&topic, part, offset.max(low)).await?;
        if let Some(it) = self.parts.get_mut(&part) {
            it.expect = Some(offset.max(low));
            it.sought = it.expect;
        }
        Ok(())
    }

    /// After a seek to a place before the ledger's offset.
    pub(super) fn expect_anything(&mut self, part: i32) {
        if let Some(it) = self.parts.get_mut(&part) {
            it.expect = None;
            it.sought = None;
        }
    }
}

fn is_question(record: &Arrived) -> bool {
    record.received.as_ref().is_ok_and(|it| matches!(it.body, Body::Question { .. }))
}
