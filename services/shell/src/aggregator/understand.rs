//! What records are to a view, before it is known whether they are next: it depends on nothing that the loop changes,
//! so that it is found out while the store is busy.
use super::{
    fold::{Keyed, Source, key_of},
    shard::Place,
};
use crate::{
    codec::{Codec, OpenError},
    port::log::Record,
    telemetry::metric,
};
use functions::{Happened, View};
use shared_events::headers::{EventHeaders, HeaderError};
use std::collections::BTreeMap;

/// A record as it was handed out.
pub(super) struct Arrived<V> {
    pub(super) place: Place,
    pub(super) record: Record,
    pub(super) headers: Result<EventHeaders, HeaderError>,
    /// An error says that waiting may help.
    pub(super) what: Result<What<V>, String>,
}

/// What an event is to the view.
pub(super) enum What<V> {
    Events(Vec<Keyed<V>>),
    /// Of no meaning to this view, or to this build.
    Nothing,
    /// Its stream waits from here on.
    Park(String),
}

/// Understands records.
pub(super) struct Reader<'a, V> {
    pub(super) codec: &'a Codec,
    pub(super) sources: &'a [Source<V>],
    /// Prefix of topics.
    pub(super) namespace: &'a str,
    pub(super) table: &'static str,
}

impl<V: View> Reader<'_, V> {
    /// Understands records, in order. After one of which nothing can be said yet, nothing is said of its partition.
    pub(super) async fn understand_all(&self, records: Vec<Record>) -> Vec<Arrived<V>> {
        let mut all = Vec::with_capacity(records.len());
        let mut held: BTreeMap<Place, String> = BTreeMap::new();
        for record in records {
            let topic = record.topic.strip_prefix(self.namespace).unwrap_or(&record.topic);
            let headers = EventHeaders::read(&record.headers);
            let place = (topic.to_owned(), record.part);
            let what = match (&headers, held.get(&place)) {
                (Err(_), _) => Ok(What::Nothing),
                (Ok(_), Some(why)) => Err(why.clone()),
                (Ok(headers), None) => self.understand(topic, &record, headers).await,
            };
            if let Err(why) = &what {
                held.entry(place.clone()).or_insert_with(|| why.clone());
            }
            all.push(Arrived { place, record, headers, what });
        }
        all
    }

    /// What the event is to this view. An error means that waiting may help.
    async fn understand(
        &self,
        topic: &str,
        record: &Record,
        headers: &EventHeaders,
    ) -> Result<What<V>, String> {
        let opened = self.codec.open(record.payload.as_deref(), Some(headers.fingerprint)).await;
        let (schema, datum) = match opened {
            Ok(it) => it,
            Err(OpenError::Away(why)) => return Err(why),
            Err(OpenError::Unreadable(why)) => return Ok(What::Park(why)),
        };
        let happened = Happened { at: headers.time, version: headers.version };
        for source in self.sources.iter().filter(|it| it.family.topic == topic) {
            match source.decode(&schema, datum) {
                Ok(Some(folds)) => {
                    let keyed =
                        folds.into_iter().map(|it| Ok((key_of(it.as_ref(), &happened)?, it)));
                    return Ok(keyed
                        .collect::<Result<_, String>>()
                        .map_or_else(What::Park, What::Events));
                }
                Ok(None) => {}
                Err(why) => return Ok(What::Park(why)),
            }
        }
        metrics::counter!(metric::EVENTS_FROM_THE_FUTURE.name, "view" => self.table).increment(1);
        Ok(What::Nothing)
    }
}
