//! Commands that have other outcomes, effects or answers than one each.
use super::{
    breaks,
    sound::{ALREADY_INVITED, INVITED, invite, story, verify},
    world::{World, elsewhere},
};
use fleet::proof::{Asked, Call, promise};
use serde_json::json;
use shared_events::fleet::Verdict;
use shell::position::Position;
use uuid::Uuid;

/// Calls of [`story`] that no other command depends on.
const BOB: usize = 3;
const NO_ADDRESS: usize = 7;
const FAY: usize = 14;
const GUY: usize = 15;

fn cause(world: &World, call: usize) -> String {
    let id = world.id_of(call);
    json!({ "id": id, "correlation": id, "causation": id }).to_string()
}

#[test]
fn two_outcomes() {
    let mut world = story();
    let again = world.stored.outcomes[0].clone();
    world.stored.outcomes.push(again);
    breaks(&world, &[promise::ONE_OUTCOME]);
}

#[test]
fn the_outcome_of_another_command() {
    let mut world = story();
    let other = world.id_of(FAY);
    world.change_outcome(GUY, |it| it.command_id = other);
    let promises = [promise::COMMITTED, promise::ONE_OUTCOME, promise::TOLD];
    breaks(&world, &promises);
}

#[test]
fn an_effect_without_an_outcome() {
    let mut world = story();
    let id = world.id_of(GUY);
    world.stored.outcomes.retain(|it| it.command_id != id);
    breaks(&world, &[promise::COMMITTED, promise::ONE_OUTCOME, promise::TOLD]);
}

#[test]
fn an_answer_without_an_outcome() {
    let mut world = story();
    let id = world.id_of(NO_ADDRESS);
    world.stored.outcomes.retain(|it| it.command_id != id);
    breaks(&world, &[promise::COMMITTED, promise::TOLD]);
    world.stored.commit_order.clear();
    breaks(&world, &[promise::TOLD]);
}

#[test]
fn an_outcome_that_nobody_asked_for() {
    let mut world = story();
    world.history.calls.remove(GUY);
    breaks(&world, &[promise::ASKED]);
    world.stored.commit_order.clear();
    breaks(&world, &[promise::ASKED]);
}

#[test]
fn an_event_that_nobody_asked_for() {
    let mut world = story();
    let (meta, guy) = (cause(&world, GUY), world.id_of(GUY).to_string());
    let event = world.stored.events.iter_mut().find(|it| it.meta == meta).unwrap();
    event.meta = meta.replace(&guy, &Uuid::from_u128(77).to_string());
    breaks(&world, &[promise::ASKED, promise::ONE_EFFECT]);
}

#[test]
fn two_effects() {
    let mut world = story();
    let (fay, guy) = (cause(&world, FAY), cause(&world, GUY));
    let event = world.stored.events.iter_mut().find(|it| it.meta == guy).unwrap();
    event.meta = fay;
    breaks(&world, &[promise::ONE_EFFECT, promise::POSITION]);
}

#[test]
fn an_effect_of_what_was_refused() {
    let mut world = story();
    world.change_outcome(BOB, |it| {
        it.verdict = Verdict::Rejected;
        it.code = Some("CUSTOMER_EXISTS".to_owned());
    });
    world.told_mut(BOB).code = Some("CUSTOMER_EXISTS".to_owned());
    breaks(&world, &[promise::ONE_EFFECT, promise::SEQUENTIAL]);
}

#[test]
fn an_acceptance_without_an_effect() {
    let mut world = story();
    world.change_outcome(NO_ADDRESS, |it| {
        it.verdict = Verdict::Accepted;
        it.code = None;
    });
    world.told_mut(NO_ADDRESS).code = None;
    breaks(&world, &[promise::ONE_EFFECT, promise::SEQUENTIAL]);
}

#[test]
fn accepted_and_refused_at_once() {
    let mut world = story();
    world.change_outcome(NO_ADDRESS, |it| it.verdict = Verdict::Accepted);
    breaks(&world, &[promise::ONE_EFFECT, promise::READABLE]);
}

#[test]
fn another_answer_than_the_outcome() {
    let mut world = story();
    world.told_mut(NO_ADDRESS).code = Some("EMAIL_REQUIRED".to_owned());
    breaks(&world, &[promise::TOLD]);
    let mut world = story();
    world.told_mut(NO_ADDRESS).code = None;
    breaks(&world, &[promise::TOLD]);
    let mut world = story();
    world.told_mut(BOB).version = Some(2);
    breaks(&world, &[promise::TOLD]);
    let mut world = story();
    world.told_mut(ALREADY_INVITED).holder = Some(Uuid::from_u128(9));
    breaks(&world, &[promise::TOLD]);
}

#[test]
fn an_answer_need_not_tell_the_version() {
    let mut world = story();
    world.told_mut(BOB).version = None;
    breaks(&world, &[]);
}

#[test]
fn what_was_given_up_may_have_an_effect_or_none() {
    let mut world = story();
    world.give_up(GUY);
    breaks(&world, &[]);
    world.lose(9, invite(9, "ida@x.org"));
    breaks(&world, &[]);
    world.stored.commit_order.clear();
    breaks(&world, &[]);
}

#[test]
fn a_position_without_the_effect() {
    let mut world = story();
    world.told_mut(INVITED).position = Position::new();
    breaks(&world, &[promise::POSITION]);
    for step in [-1, 1] {
        let mut world = story();
        world.change_outcome(GUY, |it| it.position[0].pseq += step);
        breaks(&world, &[promise::POSITION]);
        world.stored.commit_order.clear();
        assert!(super::broken(&world).contains(&promise::POSITION), "{step}");
    }
}

#[test]
fn a_position_without_what_it_relied_on() {
    let mut world = World::new();
    world.send(0, verify(1));
    world.send(0, invite(1, "ada@x.org"));
    let refused = world.send(0, invite(elsewhere(), "ada@x.org"));
    breaks(&world, &[]);
    world.change_outcome(refused, |it| it.position.truncate(1));
    breaks(&world, &[promise::POSITION]);
    world.stored.commit_order.clear();
    breaks(&world, &[promise::POSITION]);
}

#[test]
fn an_id_that_is_used_again() {
    let mut world = story();
    let first = world.history.calls[GUY].clone();
    let mut told = world.told(GUY).clone();
    told.code = Some("COMMAND_ID_REUSED".to_owned());
    world.history.calls.push(Call {
        client: 8,
        asked: Asked::Command {
            command_id: world.id_of(GUY),
            command: verify(1).into(),
            told: Some(told),
        },
        ..first
    });
    breaks(&world, &[]);
    world.history.calls.remove(GUY);
    breaks(&world, &[promise::ASKED, promise::TOLD]);
}
