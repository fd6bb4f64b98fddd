//! What commands depend on: streams, from the cache or from their events, and unique values.
use super::{
    claims::Claims,
    received::{Body, Received},
    shard::{Handler, Trouble},
    stream::Stream,
};
use crate::{
    port::{
        log::Log,
        store::{EventRow, Found, History, Ledger as _, LookUp, Store},
    },
    telemetry::metric,
};
use futures::future::join;
use shared_events::{WriterSchema, known_schema};
use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};
use uuid::Uuid;

impl<L: Log, S: Store> Handler<L, S> {
    /// The streams and the claims that the commands depend on. Unique values are taken to be free, unless they are
    /// contested: whether they are is compared when the batch is written down (W3).
    pub(super) async fn look_up(
        &mut self,
        work: &[Received],
    ) -> Result<(BTreeMap<Uuid, Stream>, Claims), Trouble> {
        let mut ask = LookUp::default();
        let look_up_claims = self.contested > 0;
        let mut streams = BTreeMap::new();
        let mut hits = 0;
        for it in work {
            let (decider, stream, asks) = match &it.body {
                Body::Command { decider, stream, asks, .. } => (decider, stream, asks.as_slice()),
                Body::Question { decider, stream, .. } if it.is_asked() => {
                    (decider, stream, [].as_slice())
                }
                Body::Question { .. } | Body::Refused { .. } | Body::Republish { .. } => continue,
            };
            match self.cache.get(*stream) {
                Some(cached) => {
                    hits += 1;
                    streams.insert(*stream, cached.clone());
                }
                None => drop(ask.streams.insert(*stream, self.deciders.at(*decider).fold())),
            }
            if look_up_claims {
                ask.claims.extend(asks.iter().map(|it| (it.kind.to_owned(), it.value.clone())));
            }
        }
        metrics::counter!(metric::CACHE_HITS.name, "context" => self.settings.context)
            .increment(hits);
        metrics::counter!(metric::CACHE_MISSES.name, "context" => self.settings.context)
            .increment(ask.streams.len() as u64);
        let claims_of = |found| if look_up_claims { Claims::new(found) } else { Claims::guessed() };
        if ask.streams.is_empty() && ask.claims.is_empty() {
            return Ok((streams, claims_of(BTreeMap::new())));
        }
        ask.claims.sort_unstable();
        ask.claims.dedup();
        let untold = self.untold.take();
        let (mut voice, ledger, _) = self.split();
        let (found, ()) = join(ledger.look_up(&ask), voice.tell(untold)).await;
        let Found { streams: found, claims, .. } = found?;
        for (id, history) in found {
            let mut stream = self.replay(history).await?;
            if stream.is_none() {
                // A snapshot that this build cannot read is as good as none.
                let all = LookUp { streams: [(id, String::new())].into(), ..LookUp::default() };
                let history = self.ledger.look_up(&all).await?.streams.remove(&id);
                stream = self.replay(history.unwrap_or_default()).await?;
            }
            let Some(stream) = stream else { continue };
            streams.insert(id, stream);
        }
        Ok((streams, claims_of(claims)))
    }

    /// The stream that its history makes; `None` if its snapshot cannot be read.
    async fn replay(&mut self, history: History) -> Result<Option<Stream>, Trouble> {
        let History { snapshot, events } = history;
        let first = events.first();
        let owner = snapshot
            .as_ref()
            .and_then(|it| self.deciders.iter().position(|decider| decider.fold() == it.fold));
        let owner = owner.or_else(|| self.deciders.for_event(&first?.record));
        let decider = owner.unwrap_or_default();
        let part = first.map_or(-1, |it| it.part);
        let mut stream = Stream::fresh(decider, part, &self.deciders);
        if let Some(it) = snapshot {
            let Some(state) = self.deciders.at(decider).restore(&it.state) else { return Ok(None) };
            stream.state = state;
            stream.version = it.version;
            stream.snapshot_version = it.version;
            stream.at = it.at;
        }
        for event in events.iter().filter(|it| it.version > stream.snapshot_version) {
            if event.version != stream.version + 1 {
                stream.trouble =
                    Some(format!("event {} of the stream is missing", stream.version + 1));
            }
            stream.version = event.version;
            stream.at = event.at;
            if stream.trouble.is_none() {
                let schema = self.event_schema(event).await?;
                let evolved = match &schema {
                    Some(schema) => {
                        catch_unwind(AssertUnwindSafe(|| stream.state.evolve(schema, &event.data)))
                            .map_or_else(
                                |_| Err("taking note of its history panicked".to_owned()),
                                |it| it.map_err(|it| it.to_string()),
                            )
                    }
                    None => Err(format!("the schema {} is nowhere", event.schema)),
                };
                stream.trouble = evolved.err();
            }
        }
        if owner.is_none() && stream.version > 0 && stream.trouble.is_none() {
            stream.trouble = Some("no decider of this context knows its events".into());
        }
        Ok(Some(stream))
    }

    async fn event_schema(
        &mut self,
        event: &EventRow,
    ) -> Result<Option<Arc<WriterSchema>>, Trouble> {
        if let Some(schema) = self.schemas.get(&event.schema) {
            return Ok(Some(Arc::clone(schema)));
        }
        let json = match known_schema(event.schema) {
            Some(schema) => Some(schema.json().to_owned()),
            None => self.ledger.schema(event.schema).await?,
        };
        let Some(Ok(schema)) = json.map(|it| WriterSchema::parse(&it)) else { return Ok(None) };
        let schema = Arc::new(schema);
        self.schemas.insert(event.schema, Arc::clone(&schema));
        Ok(Some(schema))
    }
}
