//! The generations of a view in memory.
use super::{
    store::{Database, MemoryStore},
    views::MemoryViews,
};
use crate::{
    port::store::{
        BuildOrder, CheckpointRow, CutOver, Generation, GenerationRow, GenerationState,
        Generations, StoreError, Switched,
    },
    view::ViewDefinition,
};

fn generation(view: &ViewDefinition, generation: i32) -> Generation {
    Generation { table: view.table, hash: view.hash.clone(), generation }
}

impl Generations for MemoryViews {
    async fn prepare(
        &mut self,
        view: &ViewDefinition,
        parts: usize,
    ) -> Result<Generation, StoreError> {
        self.with("prepare a view", |it| {
            let is_of = |of: &&Generation| of.table == view.table && of.hash == view.hash;
            if let Some(newest) = it.views.keys().rfind(is_of) {
                return Ok(newest.clone());
            }
            let of = generation(view, 1);
            it.views.entry(of.clone()).or_default().parts = parts;
            Ok(of)
        })
        .await
    }

    async fn begin(
        &mut self,
        view: &ViewDefinition,
        parts: usize,
        order: &BuildOrder,
    ) -> Result<Generation, StoreError> {
        self.with("begin a generation", |it| Ok(it.begin(view, parts, order))).await
    }

    async fn generations(
        &mut self,
        view: &ViewDefinition,
    ) -> Result<Vec<GenerationRow>, StoreError> {
        self.with("list generations", |it| {
            let live = it.live.get(&(view.table, view.hash.clone()));
            let mine =
                it.views.iter().filter(|(of, _)| of.table == view.table && of.hash == view.hash);
            let row = mine.map(|(of, table)| GenerationRow {
                of: of.clone(),
                order: table.order.clone(),
                state: match (live == Some(&of.generation), table.is_complete) {
                    (true, _) => GenerationState::Live,
                    (false, true) => GenerationState::Complete,
                    (false, false) => GenerationState::Building,
                },
            });
            Ok(row.collect())
        })
        .await
    }

    async fn checkpoints(&mut self, of: &Generation) -> Result<Vec<CheckpointRow>, StoreError> {
        self.with("read checkpoints", |it| {
            let table = it.views.get(of);
            Ok(table.map(|it| it.checkpoints.values().cloned().collect()).unwrap_or_default())
        })
        .await
    }

    async fn complete(
        &mut self,
        _view: &ViewDefinition,
        of: &Generation,
    ) -> Result<bool, StoreError> {
        self.with("complete a generation", |it| {
            let Some(table) = it.views.get_mut(of) else { return Ok(false) };
            table.is_complete |= table.has_caught_up();
            Ok(table.is_complete)
        })
        .await
    }

    async fn cut_over(
        &mut self,
        view: &ViewDefinition,
        of: &Generation,
    ) -> Result<Switched, StoreError> {
        let switched = self.with("cut over", |it| it.cut_over(view, of)).await;
        self.store.changed.notify_waiters();
        switched
    }

    async fn drop_generation(&mut self, of: &Generation) -> Result<bool, StoreError> {
        self.with("drop a generation", |it| Ok(it.drop_generation(of))).await
    }
}

impl Database {
    fn begin(&mut self, view: &ViewDefinition, parts: usize, order: &BuildOrder) -> Generation {
        let is_of = |of: &&Generation| of.table == view.table && of.hash == view.hash;
        let newest = self.views.keys().rfind(is_of).map_or(0, |of| of.generation);
        let of = generation(view, newest + 1);
        let table = self.views.entry(of.clone()).or_default();
        (table.parts, table.order) = (parts, order.clone());
        of
    }

    fn cut_over(&mut self, view: &ViewDefinition, of: &Generation) -> Result<Switched, StoreError> {
        let shown = self.live_table(view).map(|it| it.checkpoints.clone()).unwrap_or_default();
        let Some(next) = self.views.get_mut(of) else {
            return Err(StoreError::Broken(format!("no generation {}", of.generation)));
        };
        let behind = shown.iter().map(|(place, shown)| match next.checkpoints.get(place) {
            Some(next) if ![0, shown.incarnation].contains(&next.incarnation) => 0,
            next => (shown.pseq - next.map_or(0, |it| it.pseq)).max(0),
        });
        let events = behind.sum();
        if events > 0 {
            return Ok(Switched::Behind { events });
        }
        next.order.cut_over = CutOver::Ask;
        self.live.insert((view.table, view.hash.clone()), of.generation);
        Ok(Switched::Done)
    }

    fn drop_generation(&mut self, of: &Generation) -> bool {
        let is_live = self.live.get(&(of.table, of.hash.clone())) == Some(&of.generation);
        !is_live && self.views.remove(of).is_some()
    }
}

impl MemoryStore {
    /// What an operator does to a view: has it built again, to be read as soon as it is complete. Of those that were
    /// built before, the oldest that is not read is dropped where there are more than two.
    pub fn rebuild(&self, view: &ViewDefinition, parts: usize) {
        let _ = self.with::<_, StoreError>(view.context, |it| {
            it.begin(view, parts, &BuildOrder::default());
            let is_of = |of: &&Generation| of.table == view.table && of.hash == view.hash;
            let all: Vec<Generation> = it.views.keys().filter(is_of).cloned().collect();
            if all.len() > 3 {
                let _ = all.iter().any(|of| it.drop_generation(of));
            }
            Ok(())
        });
    }

    /// What an operator does to a view: has the oldest complete generation read again, if it has all that was shown.
    pub fn roll_back(&self, view: &ViewDefinition) {
        let _ = self.with::<_, StoreError>(view.context, |it| {
            let is_of = |of: &Generation| of.table == view.table && of.hash == view.hash;
            let oldest = it.views.iter().find(|(of, table)| is_of(of) && table.is_complete);
            let oldest = oldest.map(|(of, _)| of.clone());
            oldest.map(|of| it.cut_over(view, &of)).transpose()
        });
        self.changed.notify_waiters();
    }
}
