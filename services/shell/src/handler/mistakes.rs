//! What this loop would do too early if it were wrong: to show that the simulator notices.
use super::{operate::Decided, shard::Handler};
use crate::{
    defect::{self, Defect},
    port::{
        log::{Deliveries, Log},
        store::Store,
    },
};

impl<L: Log, S: Store> Handler<L, S> {
    /// Tells the world about a batch that is not in the ledger; never, unless a [`Defect`] is made.
    pub(super) async fn make_mistakes(&mut self, decided: &Decided) {
        if defect::is(Defect::PublishedBeforeCommit) {
            for event in &decided.batch.events {
                let voice = self.split().0;
                if let Ok(record) = voice.outgoing(event) {
                    voice.send(record, &Deliveries::receipt()).await;
                }
            }
        }
        if defect::is(Defect::ReplyBeforeCommit) {
            self.split().0.reply(&decided.answers, &Deliveries::receipt()).await;
        }
        if defect::is(Defect::FactBeforeCommit) {
            let facts = decided.answers.iter().filter(|it| it.rests_on.is_some());
            let facts: Vec<_> = facts.cloned().collect();
            self.split().0.reply(&facts, &Deliveries::receipt()).await;
        }
    }
}
