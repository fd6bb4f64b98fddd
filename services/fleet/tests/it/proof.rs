//! The oracle: a sound run has no anomaly, and each promise that is broken is named.
//!
//! `world` makes sound runs by deciding one command after another with the pure decider; each test breaks one thing.
mod broken_answers;
mod broken_orders;
mod broken_questions;
mod broken_reads;
mod broken_stores;
mod searches;
mod sound;
mod world;

use fleet::proof::check;
use world::World;

/// Which promises are broken.
fn broken(world: &World) -> Vec<&'static str> {
    let mut found: Vec<&str> =
        check(&world.history, &world.stored).iter().map(|it| it.promise).collect();
    found.dedup();
    found
}

/// Exactly these promises are broken, and the anomalies say so.
#[track_caller]
fn breaks(world: &World, promises: &[&'static str]) {
    let found = check(&world.history, &world.stored);
    let mut promises = promises.to_vec();
    promises.sort_unstable();
    assert_eq!(broken(world), promises, "{found:#?}");
}

/// At least this promise is broken: breaking it cannot leave the others whole.
#[track_caller]
fn breaks_among_others(world: &World, promise: &'static str) {
    assert!(broken(world).contains(&promise), "{:#?}", check(&world.history, &world.stored));
}
