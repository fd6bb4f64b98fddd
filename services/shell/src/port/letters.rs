//! What operators see of a context's dead letters, and do with them.
use super::store::StoreError;
use crate::letters::{CommandPlace, Discard, EventPlace, Listed, Operation, Wanted};
use futures::future::BoxFuture;
use uuid::Uuid;

/// The dead letters of contexts. Shared by many requests at once.
pub trait Letters: Send + Sync + 'static {
    /// Those of a context that are wanted, commands first, each kind in order; and how many there are.
    fn list<'a>(
        &'a self,
        context: &'a str,
        wanted: &'a Wanted,
    ) -> BoxFuture<'a, Result<Listed, StoreError>>;

    /// Asks the loops to try the streams of these parked events again, in every generation in which they wait, and takes
    /// note of it if there are any. Returns the numbers of the requests in the newest version of each view.
    fn ask_again<'a>(
        &'a self,
        context: &'a str,
        wanted: &'a Wanted,
        operation: &'a Operation,
    ) -> BoxFuture<'a, Result<Vec<i64>, StoreError>>;

    /// Whether a loop still has to deal with one of these requests.
    fn is_asked<'a>(
        &'a self,
        context: &'a str,
        requests: &'a [i64],
    ) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// From now on every generation of the view passes over an event, if it waits in one of them: no loop writes any
    /// more without knowing it. Its stream is tried again. Takes note of it, and returns the numbers of those requests;
    /// `None` if it does not wait.
    fn discard<'a>(
        &'a self,
        event: &'a EventPlace,
        operation: &'a Operation,
    ) -> BoxFuture<'a, Result<Option<Vec<i64>>, StoreError>>;

    /// Nothing is left to do about a command; its bytes stay. Takes note of it; false if that was so before.
    fn resolve<'a>(
        &'a self,
        command: &'a CommandPlace,
        resolution: &'a str,
        operation: &'a Operation,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Whether a command has become a dead letter.
    fn is_letter<'a>(
        &'a self,
        context: &'a str,
        command_id: Uuid,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Takes note of what an operator did.
    fn note<'a>(
        &'a self,
        context: &'a str,
        operation: &'a Operation,
    ) -> BoxFuture<'a, Result<(), StoreError>>;

    /// What operators did, the latest first; to one letter, if it is named.
    fn operations<'a>(
        &'a self,
        context: &'a str,
        letter: Option<&'a str>,
        limit: i64,
    ) -> BoxFuture<'a, Result<Vec<Operation>, StoreError>>;

    /// The events that a view passes over: they are no part of what its rows should be.
    fn discards<'a>(
        &'a self,
        context: &'a str,
        view: &'a str,
    ) -> BoxFuture<'a, Result<Vec<Discard>, StoreError>>;
}
