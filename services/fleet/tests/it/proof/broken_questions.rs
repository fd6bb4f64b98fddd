//! Questions that are answered with something else than what there was.
use super::{
    breaks,
    sound::{id, story, verify},
    world::World,
};
use fleet::proof::{Asked, Call, State, Stated, promise};
use shared_events::customers::CustomerStatus;
use shell::position::Position;
use std::time::Duration;

/// Asked after all of the story, and answered with what was so when the position was given out.
fn asked(n: u128, state: Option<State>, position: &Position) -> World {
    let mut world = story();
    let begun = world.history.calls.iter().filter_map(|it| it.ended).max().unwrap_or_default();
    world.history.calls.push(Call {
        client: 9,
        begun: begun + Duration::from_secs(1),
        ended: Some(begun + Duration::from_secs(2)),
        asked: Asked::Fact { id: id(n), told: Some(Stated { state, position: position.clone() }) },
    });
    world
}

/// All that there was.
fn all() -> Position {
    story().shown_mut().position.clone()
}

fn bob() -> State {
    let (status, email) = (CustomerStatus::Invited, Some("Bob2@x.org".to_owned()));
    State { status, email, version: 2 }
}

#[test]
fn what_is_so_is_sound() {
    breaks(&asked(2, Some(bob()), &all()), &[]);
    breaks(&asked(9, None, &all()), &[]);
    let removed = State { status: CustomerStatus::Removed, email: None, version: 2 };
    breaks(&asked(3, Some(removed), &all()), &[]);
}

#[test]
fn another_state_than_there_was() {
    let wrong = [
        None,
        Some(State { version: 1, ..bob() }),
        Some(State { version: 3, ..bob() }),
        Some(State { status: CustomerStatus::Verified, ..bob() }),
        Some(State { email: Some("bob@x.org".to_owned()), ..bob() }),
        Some(State { email: None, ..bob() }),
    ];
    for state in wrong {
        breaks(&asked(2, state, &all()), &[promise::FACT_IS_TRUE]);
    }
}

/// True when it was decided, and told to somebody who could have known better.
#[test]
fn older_than_what_was_answered_before() {
    let first = story().told(0).position.clone();
    let ada =
        State { status: CustomerStatus::Invited, email: Some("ada@x.org".to_owned()), version: 1 };
    breaks(&asked(1, Some(ada.clone()), &first), &[promise::FACT_IS_NEW]);
    // Asked before the next was answered, it is as good as any.
    let mut world = asked(1, Some(ada), &first);
    let until = world.history.calls[1].begun;
    let question = world.history.calls.last_mut().expect("the question");
    (question.begun, question.ended) = (until, Some(until + Duration::from_secs(9)));
    breaks(&world, &[]);
}

#[test]
fn what_was_not_sent_yet() {
    let mut world = asked(2, Some(bob()), &all());
    let question = world.history.calls.last_mut().expect("the question");
    (question.begun, question.ended) = (Duration::ZERO, Some(Duration::from_secs(1)));
    breaks(&world, &[promise::FACT_IS_TRUE]);
}

/// Two who ask one after the other: what the first was told, the second may not unlearn.
#[test]
fn older_than_what_another_was_told() {
    let mut world = asked(2, Some(bob()), &all());
    // Nobody was told of the last commands but by the question.
    let told = world.send(3, verify(2));
    let after = world.told(told).position.clone();
    world.give_up(told);
    let position = |stated: &Position| {
        let mut position = all();
        position.merge(stated);
        position
    };
    let late = world.history.calls.iter().filter_map(|it| it.ended).max().unwrap_or_default();
    let verified = State { status: CustomerStatus::Verified, version: 3, ..bob() };
    for (n, state, position) in [(1, verified, position(&after)), (2, bob(), all())] {
        let begun = late + Duration::from_secs(100 * n);
        world.history.calls.push(Call {
            client: 9,
            begun,
            ended: Some(begun + Duration::from_secs(1)),
            asked: Asked::Fact { id: id(2), told: Some(Stated { state: Some(state), position }) },
        });
    }
    breaks(&world, &[promise::FACT_IS_NEW]);
}
