//! What must hold for every decider and every view, whatever comes.
use super::{NOW, difference::difference, history::History, projections::Projected, world::World};
use crate::{Decider, Message, Project};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::{BTreeMap, VecDeque};
use uuid::Uuid;

/// How far apart the commands of a property come: several a day, over several days.
const STEP: TimeDelta = TimeDelta::hours(7);

/// What happens when these commands come one after another, and nothing happened before.
///
/// Whatever the commands are, all of this must hold (proptest shrinks the commands when it does not):
/// - every decision can be written down, as [`Given::when`](super::Given::when) checks, and depends on its arguments only;
/// - `evolve` takes every event that was decided;
/// - replay equals state: the events alone give the same state again;
/// - a snapshot equals state: a state that went through JSON is the same, and goes on in the same way.
///
/// States are compared by their debug text, so keep unordered maps out of them.
///
/// # Panics
/// If any of that does not hold.
#[track_caller]
pub fn history_of<D: Decider>(commands: impl IntoIterator<Item = D::Command>) -> History<D::Event> {
    let mut world = World::<D>::new();
    for (command, now) in commands.into_iter().zip(instants()) {
        for event in world.decide(&command, now).into_iter().flatten() {
            world.happen(&event, now);
        }
    }
    check_replay(&world);
    world.into_history()
}

/// A command that comes again right after it was decided changes nothing more: it succeeds without an event, or is
/// rejected. `promised` says for which commands the decider promises so; the others come once.
///
/// (The shell answers a redelivered command from what was decided, so this is about a *new* command with the same
/// content: a second click, a form sent twice.)
///
/// # Panics
/// If a repeated command makes anything happen.
#[track_caller]
pub fn repeats_change_nothing<D: Decider>(
    commands: impl IntoIterator<Item = D::Command>,
    promised: impl Fn(&D::Command) -> bool,
) {
    let mut world = World::<D>::new();
    for (command, now) in commands.into_iter().zip(instants()) {
        for event in world.decide(&command, now).into_iter().flatten() {
            world.happen(&event, now);
        }
        if promised(&command) {
            let again = world.decide(&command, now).unwrap_or_default();
            assert!(again.is_empty(), "{command:?} comes again and makes this happen: {again:#?}");
        }
    }
}

/// The rows are the same whatever the order between streams, as long as each stream keeps its own: what a view with
/// [`SPANS_STREAMS`](crate::View::SPANS_STREAMS) needs, whose events come from several partitions.
///
/// Tried are: stream after stream in both directions, all by turns, and some more orders chosen by `seed`.
///
/// # Panics
/// If another order gives other rows.
#[track_caller]
pub fn order_between_streams_is_free<V: Project<E>, E: Message>(history: &History<E>, seed: u64) {
    let expected = Projected::<V>::new().and_history(history);
    let mut random = seed;
    let mut choices: Vec<Box<dyn FnMut(usize, usize) -> usize>> = vec![
        Box::new(|_, _| 0),
        Box::new(|_, streams| streams - 1),
        Box::new(|turn, streams| turn % streams),
    ];
    for _ in 0..8 {
        random = scrambled(random);
        let mut state = random;
        choices.push(Box::new(move |_, streams| {
            state = scrambled(state);
            usize::try_from(state >> 33).unwrap_or_default() % streams
        }));
    }
    for choose in &mut choices {
        let order = interleaved(history, choose);
        let found = Projected::<V>::new().and_history(&order);
        assert!(
            expected.rows() == found.rows(),
            "the rows of view {:?} depend on the order between streams: start from `row.unwrap_or_default()` and \
             make the fold commutative\n\nin order\n{history:#?}\n\nin another order\n{order:#?}\n\n{}",
            V::TABLE,
            difference(expected.rows(), found.rows())
        );
    }
}

#[track_caller]
fn check_replay<D: Decider>(world: &World<D>) {
    let mut replayed = BTreeMap::<Uuid, D>::new();
    let mut from_snapshots = BTreeMap::<Uuid, D>::new();
    for (_, event) in world.history() {
        replayed.entry(event.stream()).or_default().evolve(event);
        // A snapshot may have been taken before any event.
        let state = from_snapshots.entry(event.stream()).or_default();
        state.evolve(event);
        *state = through_json(state);
    }
    for (stream, state) in world.states() {
        let replayed = replayed.remove(&stream).unwrap_or_default();
        assert!(
            format!("{state:?}") == format!("{replayed:?}"),
            "replaying the events of stream {stream} gives another state\n\n{}",
            difference(state, &replayed)
        );
        let resumed = from_snapshots.remove(&stream).unwrap_or_default();
        assert!(
            format!("{state:?}") == format!("{resumed:?}"),
            "going on from a snapshot of stream {stream} gives another state\n\n{}",
            difference(state, &resumed)
        );
    }
}

#[track_caller]
fn through_json<D: Decider>(state: &D) -> D {
    let read = serde_json::to_string(state).and_then(|json| serde_json::from_str::<D>(&json));
    let read = match read {
        Ok(read) => read,
        Err(why) => panic!("a snapshot of {state:?} cannot be written or read: {why}"),
    };
    assert!(
        format!("{state:?}") == format!("{read:?}"),
        "a snapshot gives another state\n\n{}",
        difference(state, &read)
    );
    read
}

/// The same events in the order of the choices: of `n` streams with events left, which is next (below `n`)?
fn interleaved<E: Message>(
    history: &History<E>,
    choose: &mut impl FnMut(usize, usize) -> usize,
) -> History<E> {
    let mut streams = BTreeMap::<Uuid, VecDeque<_>>::new();
    for it in history {
        streams.entry(it.1.stream()).or_default().push_back(it.clone());
    }
    let mut streams: Vec<_> = streams.into_values().collect();
    let mut order = Vec::with_capacity(history.len());
    while !streams.is_empty() {
        let chosen = choose(order.len(), streams.len());
        order.extend(streams[chosen].pop_front());
        streams.retain(|it| !it.is_empty());
    }
    order
}

fn instants() -> impl Iterator<Item = DateTime<Utc>> {
    std::iter::successors(Some(NOW), |now| now.checked_add_signed(STEP))
}

/// The next number of a fixed random sequence (SplitMix64): the same seed gives the same orders.
fn scrambled(seed: u64) -> u64 {
    let mut it = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    it = (it ^ (it >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    it ^ (it >> 31)
}
