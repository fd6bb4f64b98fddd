//! What happened, as it was written down: for whoever asks later. Nothing here is on the way of a command.
use super::store::{EventRow, StoreError};
use futures::future::BoxFuture;
use shared_events::Fingerprint;
use uuid::Uuid;

/// Some events of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    /// The first that is wanted.
    pub first: i64,
    /// The last that is wanted.
    pub last: i64,
    /// Whether they come in falling order.
    pub newest_first: bool,
    /// At most so many.
    pub limit: i64,
}

/// The events of contexts. Shared by many requests at once.
pub trait Past: Send + Sync + 'static {
    /// Events of a stream.
    fn events_of<'a>(
        &'a self,
        context: &'a str,
        stream: Uuid,
        versions: Versions,
    ) -> BoxFuture<'a, Result<Vec<EventRow>, StoreError>>;

    /// How many events a stream has.
    fn length<'a>(
        &'a self,
        context: &'a str,
        stream: Uuid,
    ) -> BoxFuture<'a, Result<i64, StoreError>>;

    /// The events of all streams, in the order of the streams' ids and in each from its first on: those after this one,
    /// named by stream and version, at most `limit`. What happens meanwhile may be among them or not.
    fn events_after<'a>(
        &'a self,
        context: &'a str,
        after: (Uuid, i64),
        limit: i64,
    ) -> BoxFuture<'a, Result<Vec<EventRow>, StoreError>>;

    /// A schema that events were written with.
    fn schema<'a>(
        &'a self,
        context: &'a str,
        fingerprint: Fingerprint,
    ) -> BoxFuture<'a, Result<Option<String>, StoreError>>;
}
