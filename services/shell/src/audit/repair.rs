//! What is derived is made again from the source of truth; that itself (events and outcomes) is never touched.
use super::{AuditError, difference::Remedy, held::Held};
use crate::{
    Shell,
    handler::decider::Deciders,
    port::store::{EventRow, Holder},
    postgres::{ClaimRepair, Verdict},
    republish,
    schemas::Schemas,
};
use functions::Context;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// What became of something that was to be repaired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// What it is, in words.
    pub what: String,
    /// What was done about it, or why nothing could be.
    pub done: Result<String, String>,
}

/// Repairs what an audit of the context found. Views are not repaired here: they come back to be rebuilt.
///
/// # Errors
/// If a server does not answer; what was repaired before stays repaired.
pub async fn repair<C: Context>(
    shell: &Shell,
    remedies: &BTreeSet<Remedy>,
    tell: &mut dyn FnMut(&Repaired),
) -> Result<BTreeSet<&'static str>, AuditError> {
    let deciders = Deciders::of::<C>();
    let mut claims: BTreeMap<(&str, &str), Vec<Uuid>> = BTreeMap::new();
    let mut publish: BTreeMap<i32, i64> = BTreeMap::new();
    let mut views = BTreeSet::new();
    let mut schemas = Schemas::new(shell.postgres.snapshot(C::NAME).await?.schemas().await?);
    for it in remedies {
        match it {
            Remedy::Claim { kind, value, stream } => {
                claims.entry((kind, value)).or_default().push(*stream);
            }
            Remedy::Republish { part, from_pseq } => {
                let first = publish.entry(*part).or_insert(*from_pseq);
                *first = (*first).min(*from_pseq);
            }
            Remedy::Snapshot { stream, part, fold, version, state } => {
                let state = state.as_ref().map(|(state, at)| (state.as_str(), *at));
                let of = (*stream, fold.as_str(), *version);
                shell.postgres.repair_snapshot(C::NAME, of, *part, state).await?;
                let what = format!("snapshot of stream {stream}, version {version}");
                let done = if state.is_some() { "replaced by a replay" } else { "forgotten" };
                tell(&Repaired { what, done: Ok(done.to_owned()) });
            }
            Remedy::Rebuild { view } => drop(views.insert(*view)),
        }
    }
    for ((kind, value), streams) in claims {
        let judge = |events: Vec<EventRow>| holders(&deciders, &mut schemas, &events, kind, value);
        let done = shell.postgres.repair_claim(C::NAME, (kind, value), &streams, judge).await?;
        let done = match done {
            ClaimRepair::Right => Ok("is right by now".to_owned()),
            ClaimRepair::Changed(Some(it)) => Ok(format!("held by {}", it.stream)),
            ClaimRepair::Changed(None) => Ok("free".to_owned()),
            ClaimRepair::Contradictory(streams) => {
                Err(format!("the events give it to several streams: {streams:?}"))
            }
        };
        tell(&Repaired { what: format!("{kind} {value:?}"), done });
    }
    for (part, from_pseq) in publish {
        let asked = republish::ask::<C>(shell, part, from_pseq).await;
        let what = format!("partition {part}, from event {from_pseq} on");
        let done = asked
            .map(|()| "the handler was asked to publish it again".to_owned())
            .map_err(|error| error.to_string());
        tell(&Repaired { what, done });
    }
    Ok(views)
}

/// Who holds the value, by the events of all streams that may.
fn holders(
    deciders: &Deciders,
    schemas: &mut Schemas,
    events: &[EventRow],
    kind: &str,
    value: &str,
) -> Verdict {
    let mut held: BTreeMap<Uuid, (i32, Held)> = BTreeMap::new();
    for it in events {
        let event = super::walk::Event { schema: schemas.get(it.schema), row: it.clone() };
        let claims = super::claims::claims_of(deciders, &event).unwrap_or_default();
        held.entry(it.stream)
            .or_insert_with(|| (it.part, Held::default()))
            .1
            .apply(it.pseq, claims);
    }
    let holders = held.iter().filter_map(|(stream, (part, held))| {
        let pseq = *held.taken_by(kind, value)?.last()?;
        Some(Holder { stream: *stream, part: *part, pseq })
    });
    let holders: Vec<Holder> = holders.collect();
    match holders.as_slice() {
        [] => Verdict::Nobody,
        [one] => Verdict::One(*one),
        several => Verdict::Several(several.iter().map(|it| it.stream).collect()),
    }
}
