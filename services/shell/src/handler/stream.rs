//! The state of a stream, and the cache of those that were seen lately.
use super::decider::{AnyState, Deciders};
use crate::defect::{self, Defect};
use chrono::{DateTime, Utc};
use lru::LruCache;
use std::collections::BTreeMap;
use uuid::Uuid;

/// A stream as the decider left it.
pub(crate) struct Stream {
    pub(crate) part: i32,
    /// Which decider of the context it belongs to.
    pub(crate) decider: usize,
    pub(crate) state: Box<dyn AnyState>,
    pub(crate) version: i64,
    /// When its last event was decided.
    pub(crate) at: DateTime<Utc>,
    /// Why nothing can be decided about it in this build (protocol.md W11).
    pub(crate) trouble: Option<String>,
    /// The version of its last snapshot.
    pub(crate) snapshot_version: i64,
}

impl Stream {
    /// A stream without a past.
    pub(crate) fn fresh(decider: usize, part: i32, deciders: &Deciders) -> Self {
        Self {
            part,
            decider,
            state: deciders.at(decider).empty(),
            version: 0,
            at: DateTime::UNIX_EPOCH,
            trouble: None,
            snapshot_version: 0,
        }
    }

    fn weight(&self) -> usize {
        size_of::<Self>() + 64 + self.state.weight()
    }
}

impl Clone for Stream {
    fn clone(&self) -> Self {
        Self { state: self.state.copy(), trouble: self.trouble.clone(), ..*self }
    }
}

/// Streams seen lately, bounded in bytes: the least recently used go first.
pub(crate) struct Cache {
    streams: LruCache<Uuid, (usize, Stream)>,
    bytes: usize,
    bytes_max: usize,
}

impl Cache {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { streams: LruCache::unbounded(), bytes: 0, bytes_max }
    }

    pub(crate) fn get(&mut self, id: Uuid) -> Option<&Stream> {
        self.streams.get(&id).map(|(_, stream)| stream)
    }

    pub(crate) fn put(&mut self, id: Uuid, stream: Stream) {
        let weight = stream.weight();
        self.bytes += weight;
        if let Some((old, _)) = self.streams.put(id, (weight, stream)) {
            self.bytes -= old;
        }
        while self.bytes > self.bytes_max
            && let Some((_, (weight, _))) = self.streams.pop_lru()
        {
            self.bytes -= weight;
        }
    }

    pub(crate) fn extend(&mut self, streams: BTreeMap<Uuid, Stream>) {
        for (id, stream) in streams {
            self.put(id, stream);
        }
    }

    /// Forgets the streams of a partition: somebody else may write them from now on.
    pub(crate) fn forget(&mut self, part: i32) {
        if defect::is(Defect::CacheKeptAfterFence) {
            return;
        }
        let gone: Vec<Uuid> =
            self.streams.iter().filter(|(_, (_, it))| it.part == part).map(|(id, _)| *id).collect();
        for id in gone {
            if let Some((weight, _)) = self.streams.pop(&id) {
                self.bytes -= weight;
            }
        }
    }
}
