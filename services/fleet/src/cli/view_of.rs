//! A view by its name, of whichever context.
use crate::services::{EachContext, each};
use anyhow::bail;
use functions::Context;
use shell::view::{ViewDefinition, views_of};

/// The view with this name.
///
/// # Errors
/// There is none; the message lists those that there are.
pub(super) fn view_of(name: &str) -> anyhow::Result<ViewDefinition> {
    let all = all_views();
    let names: Vec<&str> = all.iter().map(|it| it.table).collect();
    match all.iter().find(|it| it.table == name) {
        Some(it) => Ok(it.clone()),
        None => bail!("there is no view {name:?}: choose among {}", names.join(", ")),
    }
}

/// Every view of every context.
pub(super) fn all_views() -> Vec<ViewDefinition> {
    struct All(Vec<ViewDefinition>);
    impl EachContext for All {
        fn context<C: Context>(&mut self) {
            self.0.extend(views_of::<C>());
        }
    }
    let mut all = All(Vec::new());
    each(&mut all);
    all.0
}
