//! Generations of a view: the same definition can be built again beside what is read, and take its place
//! (protocol.md V5).
use super::store::{CheckpointRow, StoreError};
use crate::view::ViewDefinition;
use chrono::{DateTime, Utc};

/// One generation of one version of a view.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation {
    /// The view's table.
    pub table: &'static str,
    /// The hash of the view's definition.
    pub hash: String,
    /// Counts rebuilds of the same definition.
    pub generation: i32,
}

/// How a generation is built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildOrder {
    /// When it is read.
    pub cut_over: CutOver,
    /// Nothing that happened later is folded; such a generation is for comparison, and never cut over to.
    pub as_of: Option<DateTime<Utc>>,
    /// The most events that each loop folds in a second, so that what else the servers do goes on undisturbed.
    pub events_per_second_max: Option<u32>,
}

/// When a generation takes the place of the one that is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CutOver {
    /// As soon as it is complete.
    #[default]
    Auto,
    /// When an operator says so.
    Ask,
}

/// What is read, and what is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GenerationState {
    /// It does not have all there was when it was begun, or no indexes yet.
    Building,
    /// It could be read.
    Complete,
    /// It is read.
    Live,
}

/// A generation and how it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerationRow {
    /// Which one.
    pub of: Generation,
    /// How it was ordered.
    pub order: BuildOrder,
    /// How it stands.
    pub state: GenerationState,
}

impl GenerationRow {
    /// Whether it takes the place of what is read now without being asked for. The first one of a version does: nothing
    /// is read before it.
    #[must_use]
    pub fn cuts_over(&self, is_first: bool) -> bool {
        let is_wanted = is_first || self.order.cut_over == CutOver::Auto;
        self.state == GenerationState::Complete && self.order.as_of.is_none() && is_wanted
    }
}

/// What became of a cut-over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switched {
    /// The generation is read from now on.
    Done,
    /// It had not come as far as what is read now, by so many events: readers would have gone back in time.
    Behind {
        /// Of all partitions.
        events: i64,
    },
}

/// The generations of the views of a context.
#[expect(async_fn_in_trait, reason = "a loop lives on one thread")]
pub trait Generations {
    /// Makes the first generation of the view where it is missing; the newest one. `parts` is the number of checkpoints
    /// that have to catch up before it is complete.
    async fn prepare(
        &mut self,
        view: &ViewDefinition,
        parts: usize,
    ) -> Result<Generation, StoreError>;

    /// Makes another generation of the view, which is filled from the first event on.
    async fn begin(
        &mut self,
        view: &ViewDefinition,
        parts: usize,
        order: &BuildOrder,
    ) -> Result<Generation, StoreError>;

    /// All generations of the view's definition, the oldest first.
    async fn generations(
        &mut self,
        view: &ViewDefinition,
    ) -> Result<Vec<GenerationRow>, StoreError>;

    /// How far a generation has come.
    async fn checkpoints(&mut self, of: &Generation) -> Result<Vec<CheckpointRow>, StoreError>;

    /// Makes the indexes of a generation that has all there was when it was begun. `false`: it has not yet, or another
    /// process is at it.
    async fn complete(
        &mut self,
        view: &ViewDefinition,
        of: &Generation,
    ) -> Result<bool, StoreError>;

    /// Has a complete generation read from now on, in the place of another one if there is one, which goes on being fed
    /// until it is dropped. What it showed, this one must show too.
    async fn cut_over(
        &mut self,
        view: &ViewDefinition,
        of: &Generation,
    ) -> Result<Switched, StoreError>;

    /// Forgets a generation and its rows. `false`: it is read, or there is none.
    async fn drop_generation(&mut self, of: &Generation) -> Result<bool, StoreError>;
}
