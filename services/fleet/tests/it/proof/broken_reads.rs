//! Reads that show something else than what there was.
use super::{
    breaks,
    sound::{id, story},
    world::World,
};
use fleet::proof::{Asked, ReadRow, promise};
use shell::position::Position;

fn seen_mut(world: &mut World) -> &mut Position {
    match world.history.calls.last_mut().map(|it| &mut it.asked) {
        Some(Asked::Read { seen, .. }) => seen,
        _ => panic!("the last call is no read"),
    }
}

fn row(world: &mut World, n: u128) -> &mut ReadRow {
    world.shown_mut().rows.iter_mut().find(|it| it.id == id(n)).expect("a row")
}

#[test]
fn older_than_what_was_seen() {
    let mut world = story();
    let all = world.shown_mut().position.clone();
    world.read(9, &[id(1)], Position::new(), 1);
    breaks(&world, &[]);
    *seen_mut(&mut world) = all;
    breaks(&world, &[promise::READ_IS_NEW]);
}

#[test]
fn older_than_the_clients_own_command() {
    let mut world = story();
    let all = world.shown_mut().position.clone();
    // The client that invited and verified.
    world.read(0, &[id(1)], Position::new(), 1);
    breaks(&world, &[]);
    *seen_mut(&mut world) = all;
    breaks(&world, &[promise::READ_GOES_ON, promise::READ_IS_NEW]);
}

#[test]
fn a_row_that_is_newer_or_older_than_the_position() {
    for step in [-1, 1] {
        let mut world = story();
        row(&mut world, 2).version += step;
        breaks(&world, &[promise::READ_IS_TRUE]);
    }
    let mut world = story();
    row(&mut world, 1).version = 1;
    breaks(&world, &[promise::READ_GOES_ON, promise::READ_IS_TRUE]);
}

#[test]
fn another_address() {
    let mut world = story();
    row(&mut world, 2).email = "bob@x.org".to_owned();
    breaks(&world, &[promise::READ_IS_TRUE]);
}

#[test]
fn a_row_too_few_or_too_many() {
    let mut world = story();
    world.shown_mut().rows.retain(|it| it.id != id(7));
    breaks(&world, &[promise::READ_IS_TRUE]);
    let mut world = story();
    let again = row(&mut world, 7).clone();
    world.shown_mut().rows.push(again);
    breaks(&world, &[promise::READ_IS_TRUE]);
    let mut world = story();
    let stranger = ReadRow { id: id(77), ..row(&mut world, 7).clone() };
    world.shown_mut().rows.push(stranger);
    breaks(&world, &[promise::READ_IS_TRUE]);
}

#[test]
fn a_position_beyond_all_events() {
    let mut world = story();
    world.shown_mut().position.saw("customers", 1, 0, 1_000);
    breaks(&world, &[promise::READ_IS_TRUE]);
    let mut world = story();
    world.shown_mut().position.saw("customers", 2, 0, 1);
    breaks(&world, &[promise::READ_IS_TRUE]);
}

#[test]
fn a_client_goes_on_from_what_it_read() {
    let mut world = story();
    let all = world.shown_mut().position.clone();
    world.read(9, &[id(1)], all.clone(), 0);
    world.read(9, &[id(1)], all, 0);
    breaks(&world, &[]);
    row(&mut world, 1).version = 1;
    breaks(&world, &[promise::READ_GOES_ON, promise::READ_IS_TRUE]);
}
