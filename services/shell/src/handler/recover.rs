//! When the world does not do its part: keep nothing half done, wait, begin again from the ledger.
use super::{
    operate::Answer,
    outcome::{outcome_datum, read_outcome, write_outcome},
    received::{Arrived, Body, Raw, Received},
    shard::{Handler, Trouble},
};
use crate::{
    defect::{self, Defect},
    port::{
        log::{Consumer as _, Deliveries, Log},
        store::{Ledger as _, LookUp, Store},
    },
};
use chrono::TimeDelta;
use shared_events::{Message as _, fleet::Reply};
use std::{collections::BTreeMap, time::Duration};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// A command younger than this without an outcome was never decided (protocol.md W5).
const WINDOW: TimeDelta = TimeDelta::days(6);
/// Past this a consumer is silently thrown out of its group: leave, and come back (W12).
const LEAVE_AFTER: Duration = Duration::from_mins(1);
const STOP_DEADLINE: Duration = Duration::from_secs(5);

impl<L: Log, S: Store> Handler<L, S> {
    /// Registers the schemas; false if told to stop before that succeeded.
    pub(crate) async fn prepare(&mut self, shutdown: &CancellationToken) -> bool {
        loop {
            match self.try_prepare().await {
                Ok(()) => return true,
                Err(why) => {
                    self.report.trouble(Some(why.clone()));
                    if !self.pause(&why, shutdown).await {
                        return false;
                    }
                }
            }
        }
    }

    async fn try_prepare(&mut self) -> Result<(), String> {
        let mut schemas = Vec::new();
        for it in self.deciders.iter() {
            self.codec.prepare(it.commands()).await.map_err(|it| it.to_string())?;
            self.codec.prepare(it.events()).await.map_err(|it| it.to_string())?;
            let records = it.events().records();
            schemas.extend(records.map(|it| (it.fingerprint(), it.json().to_owned())));
        }
        for it in self.deciders.facts() {
            self.codec.prepare(it.questions).await.map_err(|it| it.to_string())?;
            self.codec.prepare(it.answers).await.map_err(|it| it.to_string())?;
        }
        self.codec.prepare(Reply::family()).await.map_err(|it| it.to_string())?;
        self.ledger.keep_schemas(&schemas).await.map_err(|it| it.to_string())?;
        self.attempts = 0;
        self.report.trouble(None);
        Ok(())
    }

    /// Waits until the store answers again; while it does not, nothing is read from the log.
    pub(crate) async fn recover(&mut self, trouble: &Trouble, shutdown: &CancellationToken) {
        let began = self.clock.elapsed();
        let mut joined = true;
        let mut why = trouble.to_string();
        self.tell().await;
        self.ahead.clear();
        loop {
            self.report.trouble(Some(why.clone()));
            for part in self.parts.keys().copied().collect::<Vec<_>>() {
                self.drop_part(part, &why, Duration::ZERO);
            }
            if !self.pause(&why, shutdown).await {
                return;
            }
            if joined && self.clock.elapsed() > began + LEAVE_AFTER {
                self.consumer.unsubscribe();
                joined = false;
            }
            match self.ledger.rows(&[]).await {
                Ok(_) => break,
                Err(error) => why = error.to_string(),
            }
        }
        if !joined && let Err(error) = self.consumer.subscribe() {
            tracing::error!(%error, "cannot join the group again");
        }
        // Whatever was handed out and not decided is handed out again.
        let now = self.clock.elapsed();
        for part in self.assigned() {
            self.retry.insert(part, now);
        }
        self.report.trouble(None);
        tracing::info!(context = self.settings.context, "the store answers again");
    }

    /// Backs off with jitter; false if told to stop.
    async fn pause(&mut self, why: &str, shutdown: &CancellationToken) -> bool {
        self.attempts += 1;
        let pause = Duration::from_millis(50 << self.attempts.min(5));
        let pause = self.jittered(pause);
        if self.attempts.is_power_of_two() {
            tracing::warn!(context = self.settings.context, %why, attempt = self.attempts, ?pause, "waiting");
        }
        tokio::select! {
            biased;
            () = shutdown.cancelled() => false,
            () = self.clock.sleep(pause) => true,
        }
    }

    /// Up to twice as long, so that processes that failed together do not come back together.
    pub(crate) fn jittered(&self, pause: Duration) -> Duration {
        let seed = self.report.instance().as_u128() ^ self.clock.elapsed().as_nanos();
        let part = u32::try_from(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 7 & 0x3ff)
            .unwrap_or_default();
        pause + pause * part / 1024
    }

    /// Commands that were passed before and come again: perhaps nobody was told. Those that have neither an
    /// outcome nor a dead letter prove that the log was recreated: back to them (W5). Returns those partitions.
    pub(crate) async fn answer_again(
        &mut self,
        records: Vec<Arrived>,
    ) -> Result<Vec<i32>, Trouble> {
        let now = self.clock.now();
        let mut passed: Vec<Received> = Vec::with_capacity(records.len());
        let mut unclear: BTreeMap<i32, (i64, String)> = BTreeMap::new();
        for Arrived { part, offset, at, received } in records {
            if now - at >= WINDOW || unclear.contains_key(&part) {
                continue;
            }
            match received {
                Ok(it) => passed.push(it),
                // With the registry away nothing can be said of it yet: to be read again.
                Err(why) => drop(unclear.insert(part, (offset, why))),
            }
        }
        let ids: Vec<Uuid> = passed.iter().filter_map(|it| it.envelope.command_id).collect();
        let found = self.ledger.look_up(&LookUp { outcomes: ids, ..LookUp::default() }).await?;
        let letters: Vec<_> =
            passed.iter().map(|it| (it.part, it.offset, Raw::digest(&it.raw))).collect();
        let letters = self.ledger.dead_letters(&letters).await?;
        let mut answers = Vec::new();
        let mut recreated: BTreeMap<i32, i64> = BTreeMap::new();
        for it in &passed {
            let outcome = it.envelope.command_id.and_then(|id| found.outcomes.get(&id));
            // Questions do not come here: they are evaluated again.
            let is_control = matches!(it.body, Body::Republish { .. } | Body::Question { .. });
            match (outcome, &it.envelope.reply_to) {
                (Some(row), Some(to)) => {
                    // It may have been written with an older schema than replies are sent with.
                    let body = read_outcome(&row.body).and_then(|it| write_outcome(&it));
                    let Ok(body) = body else { continue };
                    let Ok(request_hash) = row.request_hash.as_slice().try_into() else { continue };
                    answers.push(Answer {
                        to: to.clone(),
                        command_id: row.command_id,
                        request_hash,
                        traceparent: it.envelope.traceparent.clone(),
                        record: Reply::schema(),
                        datum: outcome_datum(&body).to_vec(),
                        rests_on: None,
                    });
                }
                (Some(_), None) => {}
                (None, _) if is_control || letters.contains(&(it.part, it.offset)) => {}
                (None, _) if defect::is(Defect::RecreatedLogNotNoticed) => {}
                (None, _) => {
                    recreated.entry(it.part).or_insert(it.offset);
                }
            }
        }
        self.split().0.reply(&answers, &Deliveries::receipt()).await;
        for (part, offset) in &recreated {
            self.go_back_to_recreated(*part, *offset).await?;
            unclear.remove(part);
        }
        let mut again: Vec<i32> = recreated.into_keys().collect();
        for (part, (offset, why)) in unclear {
            tracing::warn!(context = self.settings.context, part, %why, "a partition waits");
            self.clock.sleep(super::shard::RETRY_PAUSE).await;
            self.consumer.seek(&self.settings.command_topic, part, offset).await?;
            self.expect_anything(part);
            again.push(part);
        }
        Ok(again)
    }

    async fn go_back_to_recreated(&mut self, part: i32, offset: i64) -> Result<(), Trouble> {
        let Some(epoch) = self.parts.get(&part).map(|it| it.row.epoch) else { return Ok(()) };
        let Some(row) = self.ledger.rewind(part, epoch, offset).await? else {
            let pause = self.jittered(super::shard::RETRY_PAUSE);
            self.drop_part(part, "another process has taken it", pause);
            return Ok(());
        };
        tracing::warn!(
            context = self.settings.context,
            part,
            offset,
            "commands that were never decided stand before the ledger's offset: the log was recreated; deciding from there"
        );
        self.consumer.seek(&self.settings.command_topic, part, offset).await?;
        self.take(row, true);
        Ok(())
    }

    /// A planned stop: the batch in hand is done; deliver, take note, leave the group.
    pub(crate) async fn stop(mut self) {
        self.tell().await;
        let end = self.clock.elapsed() + STOP_DEADLINE;
        let waits = |it: &Self| {
            it.parts.values().any(|part| !part.sent.is_empty() || !part.marks.is_empty())
        };
        while waits(&self) && self.clock.elapsed() < end && self.settle().await.is_ok() {
            self.clock.sleep(Duration::from_millis(1)).await;
        }
        if let Err(trouble) = self.save_published().await {
            tracing::debug!(%trouble, "what is published will be found out by the next owner");
        }
        let offsets = self.take_hints();
        self.consumer.leave(&offsets).await;
        tracing::info!(context = self.settings.context, "stopped");
    }
}
