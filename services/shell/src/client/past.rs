//! What happened, for whoever asks a client.
use super::command::Client;
use crate::{
    explain::{ExplainError, Explained, explain},
    history::History,
};
use functions::Context;

impl Client {
    /// The past of a context.
    #[must_use]
    pub fn history<C: Context>(&self) -> History<'_> {
        History::of::<C>(self.0.reads.as_ref())
    }

    /// Why a row of a view of the context is what it is; see [`explain()`].
    ///
    /// # Errors
    /// There is no such view or key, or the store does not answer.
    pub async fn explain<C: Context>(
        &self,
        view: &str,
        key: &str,
        events_max: u64,
        set_by_max: usize,
    ) -> Result<Explained, ExplainError> {
        explain::<C>(self.0.reads.as_ref(), view, key, events_max, set_by_max).await
    }
}
