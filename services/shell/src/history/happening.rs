//! An event as people read it.
use crate::{handler::envelope::Meta, port::store::EventRow};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Happening {
    /// Its number in its stream.
    pub version: i64,
    /// What it is called today, without the namespace.
    pub record: String,
    /// When it was decided.
    pub at: DateTime<Utc>,
    /// What it says; `None` if it cannot be read.
    pub data: Option<Value>,
    /// Why it cannot be read, or what it was called when it was written, if that is something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Where it comes from.
    #[serde(flatten)]
    pub origin: Origin,
}

/// Where an event comes from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Origin {
    /// The event's id.
    pub event_id: Uuid,
    /// The command that made it happen.
    pub command_id: Uuid,
    /// The request that it all began with: the mutation.
    pub correlation: Uuid,
    /// On whose behalf.
    pub actor: Option<String>,
    /// The trace, for the tracing backend.
    pub trace_id: Option<String>,
    /// Its partition.
    pub part: i32,
    /// Its number there.
    pub pseq: i64,
}

impl Origin {
    /// What an event's envelope says.
    pub(crate) fn of(row: &EventRow) -> Self {
        // Whoever wrote it wrote all of it; what cannot be read is nothing that anybody can look for.
        let meta: Option<Meta> = serde_json::from_str(&row.meta).ok();
        let id = |of: fn(&Meta) -> Uuid| meta.as_ref().map(of).unwrap_or_default();
        Self {
            event_id: id(|it| it.id),
            command_id: id(|it| it.causation),
            correlation: id(|it| it.correlation),
            actor: meta.as_ref().and_then(|it| it.actor.clone()),
            trace_id: meta.as_ref().and_then(|it| trace_id(it.traceparent.as_deref()?)),
            part: row.part,
            pseq: row.pseq,
        }
    }
}

impl Happening {
    /// An event as it is told today: one as a rule; a retired one became as many as it is today.
    pub(super) fn all(
        row: &EventRow,
        told: Result<Vec<(&'static str, Value)>, String>,
    ) -> Vec<Self> {
        let origin = Origin::of(row);
        let one = |record: &str, data: Option<Value>, note: Option<String>| Self {
            version: row.version,
            record: short(record).to_owned(),
            at: row.at,
            data,
            note,
            origin: origin.clone(),
        };
        match told {
            Ok(became) if became.is_empty() => {
                vec![one(&row.record, None, Some("of no meaning any more".to_owned()))]
            }
            Ok(became) => {
                let note = |record: &str| {
                    (record != row.record).then(|| format!("written as {}", short(&row.record)))
                };
                let one = |(record, data)| one(record, Some(data), note(record));
                became.into_iter().map(one).collect()
            }
            Err(why) => vec![one(&row.record, None, Some(why))],
        }
    }
}

/// A record's name without its namespace.
pub(crate) fn short(record: &str) -> &str {
    record.rsplit('.').next().unwrap_or_default()
}

/// The second part of a `traceparent`.
fn trace_id(traceparent: &str) -> Option<String> {
    traceparent.split('-').nth(1).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use shared_events::Fingerprint;

    fn told(told: Result<Vec<(&'static str, Value)>, String>) -> Vec<Happening> {
        let row = EventRow {
            part: 0,
            pseq: 7,
            stream: Uuid::nil(),
            version: 3,
            record: "flotilla.toys.ToySold".to_owned(),
            schema: Fingerprint(0),
            data: Vec::new(),
            meta: "rubbish".to_owned(),
            at: DateTime::UNIX_EPOCH,
        };
        Happening::all(&row, told)
    }

    #[test]
    fn a_retired_event_is_told_as_what_it_is_today() {
        let became =
            vec![("flotilla.toys.ToyPaid", json!({})), ("flotilla.toys.ToySent", json!({}))];
        let all = told(Ok(became));
        let names: Vec<_> = all.iter().map(|it| (it.version, it.record.as_str())).collect();
        assert_eq!(names, [(3, "ToyPaid"), (3, "ToySent")]);
        assert!(all.iter().all(|it| it.note.as_deref() == Some("written as ToySold")));
        let same = told(Ok(vec![("flotilla.toys.ToySold", json!({ "price": 1 }))]));
        assert_eq!((&same[0].note, &same[0].data), (&None, &Some(json!({ "price": 1 }))));
    }

    #[test]
    fn what_cannot_be_read_is_named_all_the_same() {
        let all = told(Err("from the future".to_owned()));
        assert_eq!((all.len(), all[0].record.as_str(), &all[0].data), (1, "ToySold", &None));
        assert_eq!(all[0].note.as_deref(), Some("from the future"));
        assert_eq!(told(Ok(Vec::new())).len(), 1, "of no meaning, but it happened");
    }
}
