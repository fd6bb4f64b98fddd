//! Unique values are claimed by the streams whose events take them.
use super::{
    difference::{Findings, Kind, Remedy},
    held::Held,
    walk::{Check, Chunk, Done, Event, Finished},
};
use crate::{
    handler::decider::Deciders,
    port::store::{ClaimChange, Holder, StoreError},
    postgres::{Rows, Snapshot},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};
use uuid::Uuid;

/// Compares the claims of each stream with the fold of its events.
pub(super) struct Claims {
    deciders: Arc<Deciders>,
    rows: Rows<ClaimChange>,
    stream: Option<Stream>,
    count: u64,
}

struct Stream {
    id: Uuid,
    part: i32,
    held: Held,
    /// One of its events cannot be read: of what it holds nothing can be said.
    is_unclear: bool,
}

impl Claims {
    pub(super) fn new(snapshot: &Snapshot, deciders: Arc<Deciders>) -> Self {
        Self { deciders, rows: snapshot.claims(), stream: None, count: 0 }
    }

    async fn event(&mut self, it: &Event, findings: &mut Findings<'_>) -> Result<(), StoreError> {
        let row = &it.row;
        if self.stream.as_ref().is_none_or(|stream| stream.id != row.stream) {
            self.end(findings).await?;
            let (id, part, held) = (row.stream, row.part, Held::default());
            self.stream = Some(Stream { id, part, held, is_unclear: false });
        }
        let claims = claims_of(&self.deciders, it);
        let Some(stream) = &mut self.stream else { return Ok(()) };
        match claims {
            Ok(claims) => stream.held.apply(row.pseq, claims),
            Err(why) => {
                stream.is_unclear = true;
                let place = format!("event {} of partition {}", row.pseq, row.part);
                let expected = format!("a {} that can be read", row.record);
                findings.differ(Kind::Event, place, expected, why, None);
            }
        }
        Ok(())
    }

    /// The stream is over: its claims, and before them those of streams that have no events.
    async fn end(&mut self, findings: &mut Findings<'_>) -> Result<(), StoreError> {
        let Some(stream) = self.stream.take() else { return Ok(()) };
        while let Some(claim) = self.next_before(Some(stream.id)).await? {
            self.superfluous(&claim, findings);
        }
        let mut claimed = Vec::new();
        while let Some(claim) = self.next_of(stream.id).await? {
            claimed.push(claim);
        }
        self.count += claimed.len() as u64;
        if stream.is_unclear {
            return Ok(());
        }
        for (kind, value, pseq) in stream.held.iter() {
            let claim = claimed.iter().find(|it| it.kind == kind && it.value == value);
            let taken = stream.held.taken_by(kind, value).unwrap_or_default();
            let holder = claim.and_then(|it| it.next);
            if holder.is_some_and(|it| it.part == stream.part && taken.contains(&it.pseq)) {
                continue;
            }
            let expected = told(stream.id, stream.part, pseq);
            let found = holder.map_or_else(
                || "nobody, or another stream".to_owned(),
                |it| told(it.stream, it.part, it.pseq),
            );
            let remedy = remedy(kind, value, stream.id);
            findings.differ(
                Kind::Claim,
                format!("{kind} {value:?}"),
                expected,
                found,
                Some(remedy),
            );
        }
        for claim in claimed.iter().filter(|it| stream.held.taken_by(&it.kind, &it.value).is_none())
        {
            Self::differ(claim, findings);
        }
        Ok(())
    }

    fn superfluous(&mut self, claim: &ClaimChange, findings: &mut Findings<'_>) {
        self.count += 1;
        Self::differ(claim, findings);
    }

    fn differ(claim: &ClaimChange, findings: &mut Findings<'_>) {
        let Some(Holder { stream, part, pseq }) = claim.next else { return };
        let place = format!("{} {:?}", claim.kind, claim.value);
        let remedy = remedy(&claim.kind, &claim.value, stream);
        let expected = "not held by this stream";
        findings.differ(Kind::Claim, place, expected, told(stream, part, pseq), Some(remedy));
    }

    /// The next claim of a stream before this one; of any, if there is none.
    async fn next_before(
        &mut self,
        stream: Option<Uuid>,
    ) -> Result<Option<ClaimChange>, StoreError> {
        let is_before = |it: &ClaimChange| {
            it.next.is_some_and(|holder| stream.is_none_or(|stream| holder.stream < stream))
        };
        if self.rows.peek().await?.is_some_and(is_before) {
            self.rows.next().await
        } else {
            Ok(None)
        }
    }

    async fn next_of(&mut self, stream: Uuid) -> Result<Option<ClaimChange>, StoreError> {
        let is_its = |it: &ClaimChange| it.next.is_some_and(|holder| holder.stream == stream);
        if self.rows.peek().await?.is_some_and(is_its) { self.rows.next().await } else { Ok(None) }
    }
}

/// What an event takes and gives back, or why that cannot be told.
pub(super) fn claims_of(deciders: &Deciders, it: &Event) -> Result<Vec<functions::Claim>, String> {
    let schema = it.schema.as_ref();
    let schema = schema.ok_or_else(|| format!("its schema {} is nowhere", it.row.schema))?;
    let decider = deciders.for_event(&it.row.record);
    let decider = decider.ok_or("no decider of this context knows it")?;
    if schema.name() != it.row.record {
        return Err(format!("a {}, by its schema", schema.name()));
    }
    catch_unwind(AssertUnwindSafe(|| deciders.at(decider).claims(schema, &it.row.data)))
        .map_err(|_| "reading it panics".to_owned())?
        .map_err(|error| error.to_string())
}

fn told(stream: Uuid, part: i32, pseq: i64) -> String {
    format!("{stream}, since event {pseq} of partition {part}")
}

fn remedy(kind: &str, value: &str, stream: Uuid) -> Remedy {
    Remedy::Claim { kind: kind.to_owned(), value: value.to_owned(), stream }
}

impl Check for Claims {
    fn follows(&self, _: &str) -> bool {
        true
    }

    fn take<'a>(&'a mut self, chunk: &'a Chunk, findings: &'a mut Findings<'_>) -> Done<'a> {
        Box::pin(async move {
            for it in chunk.events.iter().filter(|_| chunk.is_own) {
                self.event(it, findings).await?;
            }
            Ok(())
        })
    }

    fn finish<'a>(mut self: Box<Self>, findings: &'a mut Findings<'_>) -> Done<'a, Finished> {
        Box::pin(async move {
            self.end(findings).await?;
            while let Some(claim) = self.next_before(None).await? {
                self.superfluous(&claim, findings);
            }
            Ok((vec![("claims: the fold of the events".to_owned(), self.count)], None))
        })
    }
}
