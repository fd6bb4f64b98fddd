//! Whether what is stored agrees with itself, while the fleet runs.
//!
//! All of it is compared as of one instant: a snapshot of the context's database, in which checkpoints say how far each
//! view has come, and `published` how far the topic. So that ten million events take no more memory than a thousand,
//! Postgres hands everything over in an order in which what belongs together meets: events, claims, snapshots and rows
//! by stream, outcomes and events by command. What cannot be had in an order (rows that are made of several streams) is
//! folded in memory, a bounded number of rows at a time, in as many passes as that takes.
//!
//! - `walk`: one pass over the events by stream, for `numbers`, `claims`, `snapshots`, `view` and `spanning`
//! - `outcomes`: outcomes against events, by command
//! - `topic`: the topic against the event table, by partition
//! - `repair`: what is derived is made again
mod claims;
mod coverage;
mod difference;
mod held;
mod numbers;
mod outcomes;
mod repair;
mod snapshots;
mod spanning;
mod topic;
mod view;
mod walk;

pub use coverage::Coverage;
pub use difference::{Checked, Difference, Kind, Remedy, Report, Watcher};
pub use held::Held;
pub use repair::{Repaired, repair};

use crate::{
    Shell,
    handler::decider::Deciders,
    port::{log::LogError, store::StoreError},
    postgres::Snapshot,
    view::{ViewDefinition, views_of},
};
use difference::Findings;
use functions::{Context, Decider, Parts, View};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use walk::{Check, Walk};

/// What is audited: a whole context, if no view is named.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Only this view.
    pub view: Option<String>,
    /// Another generation of it than the one that is read.
    pub generation: Option<i32>,
    /// Rows of a view that are folded in memory at the same time, where they cannot be had in the order of the events.
    pub rows_max: usize,
}

impl Default for Scope {
    fn default() -> Self {
        Self { view: None, generation: None, rows_max: 100_000 }
    }
}

/// An audit that could not be done.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// There is nothing of this name.
    #[error("the context {context} has no view {view}: there are {known}")]
    UnknownView {
        /// The context.
        context: &'static str,
        /// What was asked for.
        view: String,
        /// What there is.
        known: String,
    },
    /// There is no such generation.
    #[error(
        "the view {view} has no generation {generation} of the definition that this build knows"
    )]
    UnknownGeneration {
        /// The view.
        view: String,
        /// What was asked for.
        generation: i32,
    },
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
    /// See [`LogError`].
    #[error(transparent)]
    Log(#[from] LogError),
    /// The schema registry does not answer.
    #[error("{0}")]
    Registry(String),
}

/// Compares all that is stored of a context, or one of its views.
///
/// # Errors
/// If a server does not answer, or there is no such view. What was found before was told to `watcher`.
pub async fn audit<C: Context>(
    shell: &Shell,
    scope: &Scope,
    watcher: &mut dyn Watcher,
) -> Result<Report, AuditError> {
    let definitions = views_of::<C>();
    if let Some(view) = &scope.view
        && !definitions.iter().any(|it| it.table == view)
    {
        let known: Vec<&str> = definitions.iter().map(|it| it.table).collect();
        let (context, view) = (C::NAME, view.clone());
        return Err(AuditError::UnknownView { context, view, known: known.join(", ") });
    }
    let mut findings = Findings::new(watcher);
    let instant = Instant::take::<C>(shell, &definitions, scope.rows_max).await?;
    let mut makers = Makers { scope: scope.clone(), list: Vec::new() };
    C::parts(&mut makers);
    let mut views: Vec<Box<dyn Check>> = Vec::new();
    for make in makers.list {
        let definition = make(C::NAME);
        let of = instant.own().generation(&definition.0, scope.generation).await?;
        match (of, scope.generation) {
            (Some(of), _) => views.push((definition.1)(&instant, of).await?),
            (None, Some(generation)) => {
                let view = definition.0.table.to_owned();
                return Err(AuditError::UnknownGeneration { view, generation });
            }
            // Nobody has begun to build it.
            (None, None) => {}
        }
    }
    let is_whole = scope.view.is_none();
    let mut checks: Vec<Box<dyn Check>> = Vec::new();
    if is_whole {
        let deciders = Arc::new(Deciders::of::<C>());
        checks.push(Box::new(numbers::Numbers::new(instant.ledger.clone())));
        checks.push(Box::new(claims::Claims::new(instant.own(), Arc::clone(&deciders))));
        checks.push(Box::new(snapshots::Snapshots::new(instant.own(), deciders)));
    }
    checks.extend(views);
    Walk::new(shell.clock.clone(), &instant).run(checks, &mut findings).await?;
    if is_whole {
        outcomes::check(&shell.clock, &instant, &mut findings).await?;
        topic::check(shell, &instant, &mut findings).await?;
    }
    Ok(findings.report())
}

/// What is compared, as of one instant.
pub(crate) struct Instant {
    pub(crate) context: &'static str,
    pub(crate) ledger: Vec<crate::port::store::LedgerRow>,
    /// Of every context whose events are folded.
    contexts: BTreeMap<&'static str, Snapshot>,
    rows_max: usize,
}

impl Instant {
    async fn take<C: Context>(
        shell: &Shell,
        definitions: &[ViewDefinition],
        rows_max: usize,
    ) -> Result<Self, StoreError> {
        let own = shell.postgres.snapshot(C::NAME).await?;
        let ledger = own.ledger().await?;
        let mut contexts = BTreeMap::from([(C::NAME, own)]);
        // Taken later, so that they have all that the views have seen of them.
        let followed = definitions.iter().flat_map(|it| it.follows.iter().map(|it| it.context));
        for context in followed.collect::<BTreeSet<_>>() {
            if !contexts.contains_key(context) {
                contexts.insert(context, shell.postgres.snapshot(context).await?);
            }
        }
        Ok(Self { context: C::NAME, ledger, contexts, rows_max })
    }

    pub(crate) fn own(&self) -> &Snapshot {
        &self.contexts[self.context]
    }

    /// The events that there are in all contexts.
    pub(crate) fn events(&self) -> u64 {
        self.ledger.iter().map(|it| it.pseq.unsigned_abs()).sum()
    }
}

type Make = fn(&'static str) -> (ViewDefinition, MakeCheck);
type MakeCheck =
    for<'a> fn(
        &'a Instant,
        crate::port::store::Generation,
    ) -> futures::future::LocalBoxFuture<'a, Result<Box<dyn Check>, StoreError>>;

/// How each view of the scope is checked.
struct Makers {
    scope: Scope,
    list: Vec<Make>,
}

impl Parts for Makers {
    fn decider<D: Decider>(&mut self) -> &mut Self {
        self
    }

    fn view<V: View>(&mut self) -> &mut Self {
        if self.scope.view.as_ref().is_none_or(|it| it == V::TABLE) {
            self.list.push(|context| (ViewDefinition::of::<V>(context), view::check::<V>));
        }
        self
    }
}
