//! What `history`, `streams` and `explain` share: which context is meant, and how its past is read.
use crate::services::{CONTEXTS, EachContext, each};
use anyhow::bail;
use functions::Context;
use futures::future::LocalBoxFuture;
use shell::{Shell, postgres::PostgresReads};
use std::process::ExitCode;

/// Something that is done with one context, whose type it has to be told.
pub(super) trait Act {
    /// Does it.
    fn act<C: Context>(
        self,
        reads: PostgresReads,
    ) -> LocalBoxFuture<'static, anyhow::Result<ExitCode>>;
}

/// Does something with the context of this name.
pub(super) async fn with_context(
    shell: &Shell,
    name: &str,
    act: impl Act,
) -> anyhow::Result<ExitCode> {
    let reads = PostgresReads::new(shell.postgres.clone());
    let mut find = Find { name, act: Some((act, reads)), acting: None };
    each(&mut find);
    match find.acting {
        Some(acting) => acting.await,
        None => bail!("there is no context {name:?}: choose among {}", CONTEXTS.join(", ")),
    }
}

struct Find<'a, A> {
    name: &'a str,
    act: Option<(A, PostgresReads)>,
    acting: Option<LocalBoxFuture<'static, anyhow::Result<ExitCode>>>,
}

impl<A: Act> EachContext for Find<'_, A> {
    fn context<C: Context>(&mut self) {
        if C::NAME == self.name
            && let Some((act, reads)) = self.act.take()
        {
            self.acting = Some(act.act::<C>(reads));
        }
    }
}

/// An instant, to the microsecond.
pub(super) fn instant(at: chrono::DateTime<chrono::Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}
