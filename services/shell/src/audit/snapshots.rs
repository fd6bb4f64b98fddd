//! Snapshots are what a replay gives. Those of an earlier revision of a fold are not used, and not compared.
use super::{
    difference::{Findings, Kind, Remedy},
    walk::{Check, Chunk, Done, Event, Finished},
};
use crate::{
    handler::decider::{AnyDecider, AnyState, Deciders},
    port::store::{SnapshotRow, StoreError},
    postgres::{Rows, Snapshot},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};
use uuid::Uuid;

/// Compares the snapshots of each stream with its replay; streams without one cost nothing.
pub(super) struct Snapshots {
    deciders: Arc<Deciders>,
    rows: Rows<SnapshotRow>,
    stream: Option<Stream>,
    count: u64,
}

struct Stream {
    id: Uuid,
    part: i32,
    /// Those that are to come, and the fold that they are of; the next one last.
    snapshots: Vec<SnapshotRow>,
    state: Option<Box<dyn AnyState>>,
    fold: String,
}

impl Snapshots {
    pub(super) fn new(snapshot: &Snapshot, deciders: Arc<Deciders>) -> Self {
        Self { deciders, rows: snapshot.snapshots(), stream: None, count: 0 }
    }

    async fn event(&mut self, it: &Event, findings: &mut Findings<'_>) -> Result<(), StoreError> {
        let row = &it.row;
        if self.stream.as_ref().is_none_or(|stream| stream.id != row.stream) {
            self.end(findings);
            self.begin(it, findings).await?;
        }
        let Some(stream) = &mut self.stream else { return Ok(()) };
        if stream.snapshots.is_empty() {
            return Ok(());
        }
        let evolved =
            stream.state.as_mut().zip(it.schema.as_ref()).is_some_and(|(state, schema)| {
                let evolve = || state.evolve(schema, &row.data).is_ok();
                catch_unwind(AssertUnwindSafe(evolve)).unwrap_or(false)
            });
        if !evolved {
            // Found by whoever reads all events; of what comes after nothing can be said.
            stream.snapshots.clear();
            return Ok(());
        }
        while let Some(snapshot) = stream.snapshots.pop_if(|it| it.version <= row.version) {
            self.count += 1;
            let state = stream.state.as_ref().and_then(|it| it.snapshot()).unwrap_or_default();
            let right = SnapshotRow { state, at: row.at, ..snapshot.clone() };
            let is_same = snapshot.version == row.version
                && json(&snapshot.state) == json(&right.state)
                && snapshot.at == right.at;
            if !is_same {
                let place = format!("stream {}, version {}", snapshot.stream, snapshot.version);
                let expected = format!("{} of {}", right.state, right.at);
                let found = format!("{} of {}", snapshot.state, snapshot.at);
                let right = (snapshot.version == row.version).then_some(right);
                let remedy = Remedy::snapshot(&snapshot, row.part, right);
                findings.differ(Kind::Snapshot, place, expected, found, Some(remedy));
            }
        }
        Ok(())
    }

    async fn begin(&mut self, it: &Event, findings: &mut Findings<'_>) -> Result<(), StoreError> {
        let id = it.row.stream;
        let decider = self.deciders.for_event(&it.row.record).map(|it| self.deciders.at(it));
        let fold = decider.map(AnyDecider::fold).unwrap_or_default();
        let mut snapshots = Vec::new();
        while let Some(snapshot) = self.rows.peek().await? {
            if snapshot.stream > id {
                break;
            }
            let Some(snapshot) = self.rows.next().await? else { break };
            if snapshot.stream < id {
                self.of_no_event(&snapshot, it.row.part, findings);
            } else if snapshot.fold == fold {
                snapshots.push(snapshot);
            }
        }
        snapshots.reverse();
        let decider = self.deciders.for_event(&it.row.record).map(|it| self.deciders.at(it));
        let state = decider.map(AnyDecider::empty);
        self.stream = Some(Stream { id, part: it.row.part, snapshots, state, fold });
        Ok(())
    }

    fn end(&mut self, findings: &mut Findings<'_>) {
        let Some(Stream { part, snapshots, fold, .. }) = self.stream.take() else { return };
        for it in snapshots.iter().filter(|it| it.fold == fold) {
            self.of_no_event(it, part, findings);
        }
    }

    fn of_no_event(&mut self, it: &SnapshotRow, part: i32, findings: &mut Findings<'_>) {
        self.count += 1;
        let place = format!("stream {}, version {}", it.stream, it.version);
        let remedy = Remedy::snapshot(it, part, None);
        let found = format!("a snapshot of {}", it.fold);
        findings.differ(Kind::Snapshot, place, "an event of this version", found, Some(remedy));
    }
}

fn json(text: &str) -> Option<serde_json::Value> {
    serde_json::from_str(text).ok()
}

impl Check for Snapshots {
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
            self.end(findings);
            while let Some(it) = self.rows.next().await? {
                self.of_no_event(&it, 0, findings);
            }
            Ok((vec![("snapshots: the replay of the stream".to_owned(), self.count)], None))
        })
    }
}
