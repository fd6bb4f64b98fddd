//! Streams that waited are tried again when an operator asks for it: by the loop itself, which owns the fold and the
//! checkpoint, so that nobody else writes rows (protocol.md V6).
use super::{
    fold::fold_all,
    shard::{Aggregator, Place, Trouble},
    show::{Shown, as_json},
    understand::{Reader, What},
};
use crate::port::{
    log::{Log, Record},
    store::{Asked, CheckpointMove, ParkedEvent, Store, Touched, Tried, ViewBatch, Views as _},
};
use functions::{Happened, View};
use shared_events::headers::{EventHeaders, RawHeaders};
use std::{
    collections::{BTreeMap, BTreeSet},
    slice::from_ref,
    sync::Arc,
    time::Duration,
};

/// A stream that is tried again, and what is known of its events by now.
struct Trial<V> {
    asked: Asked,
    events: Vec<(i64, Understood<V>)>,
}

/// An event as it is read now; an error says why it still cannot be.
type Understood<V> = Result<(EventHeaders, What<V>), String>;

impl<V: View, L: Log, S: Store> Aggregator<V, L, S> {
    /// Takes note of what is set aside in partitions that were taken.
    pub(super) async fn take_aside(&mut self, places: &[Place]) -> Result<(), Trouble> {
        let aside = self.store.aside(&self.generation, places).await?;
        self.parked.retain(|(place, _), _| !places.contains(place));
        self.discarded.retain(|(place, _)| !places.contains(place));
        for (topic, part, stream, reason) in aside.parked {
            self.parked.insert(((topic, part), stream), reason);
        }
        let discarded = aside.discarded.into_iter();
        self.discarded.extend(discarded.map(|(topic, part, pseq)| ((topic, part), pseq)));
        self.next_retry = Duration::ZERO;
        Ok(())
    }

    /// Whether there is more to be tried at once.
    pub(super) fn is_trying(&self) -> bool {
        !self.parked.is_empty() && self.next_retry <= self.clock.elapsed()
    }

    /// Tries those streams again that somebody asked for: some of their events in one transaction, the rest in the
    /// next turns, while new events come in as ever.
    pub(super) async fn try_again(&mut self) -> Result<(), Trouble> {
        if !self.is_trying() {
            return Ok(());
        }
        self.next_retry = self.clock.elapsed() + LOOK_INTERVAL;
        let waits = |it: &Place| self.parked.keys().any(|(place, _)| place == it);
        let places: Vec<Place> = self.parts.keys().filter(|it| waits(it)).cloned().collect();
        if places.is_empty() {
            return Ok(());
        }
        let asked = self.store.asked(&self.generation, &places).await?;
        let is_all = asked.len() < Asked::STREAMS_MAX && !asked.iter().any(|it| it.more);
        let mut trials = Vec::new();
        for it in asked {
            trials.extend(self.read_again(it).await);
        }
        if trials.is_empty() {
            return Ok(());
        }
        if !is_all {
            self.next_retry = self.clock.elapsed();
        }
        match self.settle(&trials, usize::MAX, None).await {
            Err(Shown::Unstorable(why)) => {
                self.store.roll_back().await;
                tracing::warn!(view = self.view.table, %why, "a row cannot be stored: trying the parked events one by one");
                self.next_retry = self.clock.elapsed();
                for it in &trials {
                    self.settle_first(it).await.map_err(Shown::into_trouble)?;
                }
                Ok(())
            }
            other => other.map_err(Shown::into_trouble),
        }
    }

    /// `None`: nothing can be said yet, the schema registry is away.
    async fn read_again(&self, asked: Asked) -> Option<Trial<V>> {
        let Self { codec, sources, settings, view, .. } = self;
        let reader = Reader { codec, sources, namespace: &settings.namespace, table: view.table };
        let mut events = Vec::with_capacity(asked.events.len());
        for it in &asked.events {
            let place = (it.topic.clone(), it.part);
            let understood = if self.discarded.contains(&(place, it.pseq)) {
                headers_of(it).map(|headers| (headers, What::Nothing))
            } else {
                let mut arrived =
                    reader.understand_all(vec![record_of(it, self.topic(&it.topic))]).await;
                let it = arrived.pop()?;
                match (it.headers, it.what) {
                    (Err(error), _) => Err(error.to_string()),
                    (Ok(_), Err(_)) => return None,
                    // A view as it was then does not know what happened later.
                    (Ok(headers), Ok(_))
                        if self.order.as_of.is_some_and(|it| headers.time > it) =>
                    {
                        Ok((headers, What::Nothing))
                    }
                    (Ok(headers), Ok(what)) => Ok((headers, what)),
                }
            };
            events.push((it.pseq, understood));
        }
        Some(Trial { asked, events })
    }

    /// The first event alone, of which it is then certain that no store can hold what it makes.
    async fn settle_first(&mut self, trial: &Trial<V>) -> Result<(), Shown> {
        match self.settle(from_ref(trial), 1, None).await {
            Err(Shown::Unstorable(why)) => {
                self.store.roll_back().await;
                self.settle(from_ref(trial), 1, Some(&why)).await
            }
            other => other,
        }
    }

    /// Folds the first `count` events of each stream in order, until one cannot be, and writes rows and what goes on
    /// waiting in one transaction. With `refuse`, the first one cannot be.
    async fn settle(
        &mut self,
        trials: &[Trial<V>],
        count: usize,
        refuse: Option<&str>,
    ) -> Result<(), Shown> {
        let understood = trials.iter().flat_map(|it| it.events.iter().take(count));
        let about = understood.filter_map(|(_, it)| it.as_ref().ok());
        let mut rows = self.load(about.map(|(headers, what)| (what, headers.version))).await?;
        let mut touched: BTreeSet<String> = BTreeSet::new();
        let mut batch = ViewBatch::default();
        let mut places: BTreeSet<Place> = BTreeSet::new();
        let mut changed: BTreeMap<Place, BTreeSet<String>> = BTreeMap::new();
        for trial in trials {
            let Asked { topic, part, stream, requests, more, .. } = &trial.asked;
            let mut tried = Tried {
                topic: topic.clone(),
                part: *part,
                stream: *stream,
                upto: 0,
                reason: None,
                requests: Vec::new(),
            };
            for (pseq, it) in trial.events.iter().take(count) {
                let folded = match (it, refuse) {
                    (_, Some(why)) => Err(why.to_owned()),
                    (Err(why) | Ok((_, What::Park(why))), None) => Err(why.clone()),
                    (Ok((_, What::Nothing)), None) => Ok(()),
                    (Ok((headers, What::Events(folds))), None) => {
                        let happened = Happened { at: headers.time, version: headers.version };
                        let folded = fold_all(folds, &happened, &mut rows, &mut touched);
                        if folded.is_ok() {
                            let keys = folds.iter().filter_map(|(key, _)| key.clone());
                            changed.entry((topic.clone(), *part)).or_default().extend(keys);
                        }
                        folded
                    }
                };
                match folded {
                    Ok(()) => tried.upto = *pseq,
                    Err(why) => {
                        tried.reason = Some(why.replace('\0', "\u{fffd}"));
                        break;
                    }
                }
            }
            let is_last = !more && trial.events.len() <= count;
            if tried.reason.is_some() || is_last {
                tried.requests.clone_from(requests);
            }
            batch.tried.push(tried);
            places.insert((topic.clone(), *part));
        }
        batch.rows = as_json(&rows, &touched)?;
        for place in &places {
            // Nothing moves; the epoch is compared, so that only the owner of the partition writes.
            let row = self.parts.get(place).map(|it| it.row.clone()).ok_or(Trouble::Fenced)?;
            // Rows that are put right are pushed to those who follow them, though no new event is shown.
            if let Some(keys) = changed.remove(place).filter(|_| row.caught_up) {
                batch.changes.insert(place.clone(), Touched { keys, traces: Vec::new() });
            }
            batch.checkpoints.push(CheckpointMove { from_pseq: row.pseq, to: row });
        }
        self.write_batch(&batch).await?;
        self.keep_rows(rows, touched);
        for it in batch.tried {
            let (pseq, stream) = (it.upto, ((it.topic, it.part), it.stream));
            if let Some(reason) = it.reason {
                tracing::warn!(view = self.view.table, part = it.part, stream = %it.stream, reason, "a parked stream was tried again, and still waits");
                self.parked.insert(stream, reason);
            } else if !it.requests.is_empty() {
                tracing::info!(view = self.view.table, part = it.part, stream = %it.stream, pseq, "a parked stream is open again");
                self.parked.remove(&stream);
            }
        }
        Ok(())
    }
}

impl From<Trouble> for Shown {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

/// The record as it came. Headers are kept as text, which those of an event are.
fn record_of(it: &ParkedEvent, topic: String) -> Record {
    Record {
        topic: Arc::from(topic),
        part: it.part,
        offset: 0,
        at: it.at,
        key: None,
        headers: raw_headers(&it.headers),
        payload: it.payload.clone(),
    }
}

fn headers_of(it: &ParkedEvent) -> Result<EventHeaders, String> {
    EventHeaders::read(&raw_headers(&it.headers)).map_err(|error| error.to_string())
}

fn raw_headers(json: &str) -> RawHeaders {
    let headers: BTreeMap<String, String> = serde_json::from_str(json).unwrap_or_default();
    headers.into_iter().map(|(name, value)| (name, value.into_bytes())).collect()
}

/// How often it is looked whether somebody asked, while a stream waits.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
