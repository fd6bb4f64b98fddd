//! Outcomes that no order of the commands explains, or one that is not that of real time.
use super::{
    breaks,
    sound::{INVITED, VERIFIED, invite, remove, story, verify},
    world::{Window, World, elsewhere},
};
use fleet::proof::promise;
use std::time::Duration;
use uuid::Uuid;

const NOT_FOUND: usize = 8;
const EXISTS: usize = 13;

fn move_call(world: &mut World, call: usize, begun_seconds: u64, ended_seconds: u64) {
    let call = &mut world.history.calls[call];
    call.begun = Duration::from_secs(begun_seconds);
    call.ended = Some(Duration::from_secs(ended_seconds));
}

#[test]
fn a_command_that_is_committed_twice_or_never() {
    let mut world = story();
    let first = world.stored.commit_order[0];
    world.stored.commit_order.push(first);
    breaks(&world, &[promise::COMMITTED]);
    let mut world = story();
    world.stored.commit_order.pop();
    breaks(&world, &[promise::COMMITTED]);
}

#[test]
fn a_commit_of_nobodys_command() {
    let mut world = story();
    world.stored.commit_order.push(Uuid::from_u128(77));
    breaks(&world, &[promise::ASKED]);
}

#[test]
fn an_order_in_which_the_outcomes_would_be_others() {
    let mut world = story();
    world.stored.commit_order.swap(INVITED, VERIFIED);
    breaks(&world, &[promise::REAL_TIME, promise::SEQUENTIAL]);
}

#[test]
fn an_order_that_is_not_that_of_real_time() {
    let mut world = World::new();
    world.send(0, invite(1, "ada@x.org"));
    world.send(1, invite(elsewhere(), "bob@x.org"));
    world.stored.commit_order.swap(0, 1);
    breaks(&world, &[promise::REAL_TIME]);
    // At the same time, either may be first.
    let mut world = World::new();
    world.send_in(Window(20, 20), 0, invite(1, "ada@x.org"));
    world.send_in(Window(20, 20), 1, invite(elsewhere(), "bob@x.org"));
    world.stored.commit_order.swap(0, 1);
    breaks(&world, &[]);
}

#[test]
fn a_partition_whose_order_is_not_that_of_real_time() {
    let mut world = World::new();
    world.send(0, invite(1, "ada@x.org"));
    world.send(1, verify(1));
    world.stored.commit_order.clear();
    move_call(&mut world, 0, 2000, 2001);
    breaks(&world, &[promise::REAL_TIME]);
    // Told that there is nobody, after somebody else was told that there is.
    let mut world = World::new();
    world.send(0, verify(1));
    world.send(1, invite(1, "ada@x.org"));
    world.stored.commit_order.clear();
    move_call(&mut world, 0, 2000, 2001);
    breaks(&world, &[promise::REAL_TIME]);
}

#[test]
fn two_that_found_the_same_may_be_in_either_order() {
    let mut world = World::new();
    world.send(0, invite(1, "ada@x.org"));
    world.send(1, invite(1, "bob@x.org"));
    world.send(2, invite(1, "eve@x.org"));
    world.stored.commit_order.clear();
    move_call(&mut world, 1, 2000, 2001);
    breaks(&world, &[]);
}

#[test]
fn a_refusal_for_another_reason() {
    let mut world = story();
    let code = Some("CUSTOMER_REMOVED".to_owned());
    world.change_outcome(NOT_FOUND, |it| it.code.clone_from(&code));
    world.told_mut(NOT_FOUND).code = code;
    breaks(&world, &[promise::SEQUENTIAL]);
    world.stored.commit_order.clear();
    breaks(&world, &[promise::SEQUENTIAL]);
}

#[test]
fn a_refusal_at_another_version() {
    let mut world = story();
    world.change_outcome(EXISTS, |it| it.version = 1);
    world.told_mut(EXISTS).version = Some(1);
    breaks(&world, &[promise::SEQUENTIAL]);
    world.stored.commit_order.clear();
    breaks(&world, &[promise::SEQUENTIAL]);
}

#[test]
fn two_customers_who_had_one_address_for_a_while() {
    let mut world = World::new();
    world.send(0, invite(1, "ada@x.org"));
    world.forget_holders();
    world.send(0, invite(2, "ada@x.org"));
    world.send(0, remove(1));
    world.send(0, remove(2));
    breaks(&world, &[promise::SEQUENTIAL]);
    world.stored.commit_order.clear();
    breaks(&world, &[promise::UNIQUE]);
}

#[test]
fn an_address_that_another_had_all_the_time() {
    let mut world = World::new();
    world.send(0, invite(1, "ada@x.org"));
    world.forget_holders();
    world.send(1, invite(2, "ada@x.org"));
    // So short a time that nobody can tell when, and yet the first had it before, after, and meanwhile.
    world.send(2, remove(2));
    world.send(0, remove(1));
    world.stored.commit_order.clear();
    move_call(&mut world, 2, 1020, 1031);
    breaks(&world, &[promise::UNIQUE]);
}

#[test]
fn an_address_that_is_refused_before_anybody_has_it() {
    let mut world = World::new();
    world.send(0, invite(1, "ada@x.org"));
    world.send(1, invite(elsewhere(), "ada@x.org"));
    world.stored.commit_order.clear();
    breaks(&world, &[]);
    move_call(&mut world, 1, 500, 501);
    breaks(&world, &[promise::UNIQUE]);
}
