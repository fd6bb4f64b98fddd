//! What is stored does not agree with itself.
use super::{
    breaks, breaks_among_others,
    sound::{change, id, invite, story},
    world::World,
};
use chrono::DateTime;
use fleet::proof::{Published, promise};
use serde_json::json;
use shell::port::store::{ClaimChange, DeadLetter, LedgerRow};

/// A partition with several events, each of them once in the log.
fn busy_log(world: &mut World) -> &mut Vec<Published> {
    world.stored.log.retain(|_, log| {
        log.dedup();
        true
    });
    let log = world.stored.log.range_mut(1..).map(|(_, log)| log).max_by_key(|it| it.len());
    log.filter(|it| it.len() > 2).expect("a partition with three events")
}

#[test]
fn a_ledger_that_counts_more_events_than_there_are() {
    let mut world = story();
    world.stored.ledger[0].pseq += 1;
    world.stored.ledger[0].published += 1;
    breaks(&world, &[promise::NUMBERS]);
}

#[test]
fn an_event_that_is_gone() {
    let mut world = story();
    world.stored.events.remove(1);
    breaks_among_others(&world, promise::NUMBERS);
}

#[test]
fn a_partition_that_is_not_in_the_ledger() {
    let mut world = story();
    world.stored.ledger.remove(2);
    breaks_among_others(&world, promise::NUMBERS);
}

#[test]
fn events_that_are_not_published_yet() {
    let mut world = story();
    world.stored.ledger[1].published -= 1;
    breaks(&world, &[promise::PUBLISHED]);
}

#[test]
fn a_version_that_is_left_out() {
    let mut world = story();
    let last = world.stored.events.last_mut().unwrap();
    last.version += 1;
    let log = world.stored.log.get_mut(&last.part).unwrap();
    for it in log.iter_mut().filter(|it| it.pseq == last.pseq) {
        it.version += 1;
    }
    breaks(&world, &[promise::VERSIONS, promise::TOLD, promise::VIEWS]);
}

#[test]
fn a_stream_in_another_partition() {
    let mut world = story();
    // Among four partitions the streams would live elsewhere.
    let row = LedgerRow { part: 3, pseq: 0, published: 0, ..world.stored.ledger[0].clone() };
    world.stored.ledger.push(row);
    breaks_among_others(&world, promise::PLACES);
}

#[test]
fn an_event_that_is_not_in_the_log() {
    let mut world = story();
    busy_log(&mut world).pop();
    breaks(&world, &[promise::LOG]);
}

#[test]
fn events_may_come_in_the_wrong_order_and_twice() {
    let mut world = story();
    let log = busy_log(&mut world);
    log.swap(0, 1);
    log.push(log[1].clone());
    breaks(&world, &[]);
}

#[test]
fn two_events_with_one_number() {
    let mut world = story();
    let log = busy_log(&mut world);
    let other = Published { data: log[1].data.clone(), ..log[0].clone() };
    log.push(other);
    breaks(&world, &[promise::LOG]);
}

#[test]
fn an_event_in_the_log_that_is_in_no_ledger() {
    let mut world = story();
    let log = busy_log(&mut world);
    let last = log.last().unwrap().clone();
    log.push(Published { pseq: last.pseq + 1, version: last.version + 1, ..last });
    breaks(&world, &[promise::LOG]);
}

#[test]
fn a_claim_that_is_gone() {
    let mut world = story();
    world.stored.claims.remove(0);
    breaks(&world, &[promise::CLAIMS]);
}

#[test]
fn a_claim_of_somebody_else() {
    let mut world = story();
    world.stored.claims[0].next.as_mut().unwrap().stream = id(2);
    breaks(&world, &[promise::CLAIMS]);
}

#[test]
fn a_claim_since_another_event() {
    let mut world = story();
    world.stored.claims[0].next.as_mut().unwrap().pseq += 1;
    breaks(&world, &[promise::CLAIMS]);
}

#[test]
fn a_claim_that_was_given_back() {
    let mut world = World::new();
    world.send(0, invite(1, "ada@x.org"));
    let first = world.stored.claims[0].clone();
    world.send(0, change(1, "eve@x.org"));
    breaks(&world, &[]);
    world.stored.claims.push(first);
    breaks(&world, &[promise::CLAIMS]);
}

#[test]
fn a_value_that_is_claimed_twice() {
    let mut world = story();
    let again: ClaimChange = world.stored.claims[0].clone();
    world.stored.claims.push(again);
    breaks(&world, &[promise::UNIQUE]);
}

#[test]
fn two_customers_with_one_address() {
    let mut world = World::new();
    world.send(0, invite(1, "ada@x.org"));
    world.forget_holders();
    world.send(0, invite(2, "Ada@x.org"));
    breaks(&world, &[promise::SEQUENTIAL, promise::UNIQUE]);
    world.stored.commit_order.clear();
    breaks(&world, &[promise::UNIQUE]);
}

#[test]
fn a_row_that_is_wrong_or_missing_or_twice() {
    let mut world = story();
    world.stored.customers[1]["status"] = json!("VERIFIED");
    breaks(&world, &[promise::VIEWS]);
    let mut world = story();
    world.stored.customers[1]["status"] = json!(7);
    breaks(&world, &[promise::VIEWS]);
    let mut world = story();
    world.stored.customers.pop();
    breaks(&world, &[promise::VIEWS]);
    let mut world = story();
    let again = world.stored.customers[0].clone();
    world.stored.customers.push(again);
    breaks(&world, &[promise::VIEWS]);
}

#[test]
fn a_day_that_counts_one_invitation_twice() {
    let mut world = story();
    let invited = world.stored.days[0]["invited"].as_i64().unwrap();
    world.stored.days[0]["invited"] = json!(invited + 1);
    breaks(&world, &[promise::VIEWS]);
}

#[test]
fn bytes_that_are_no_event() {
    for damage in [
        |world: &mut World| world.stored.events[0].data.truncate(3),
        |world: &mut World| world.stored.events[0].schema.0 += 1,
        |world: &mut World| world.stored.events[0].meta.clear(),
        |world: &mut World| world.stored.events[0].stream = id(9),
    ] {
        let mut world = story();
        damage(&mut world);
        breaks_among_others(&world, promise::READABLE);
    }
}

#[test]
fn bytes_that_are_no_outcome() {
    let mut world = story();
    world.stored.outcomes[0].body.clear();
    breaks_among_others(&world, promise::READABLE);
}

#[test]
fn a_dead_letter() {
    let mut world = story();
    world.stored.dead_letters.push(DeadLetter {
        part: 0,
        offset: 0,
        digest: Vec::new(),
        command_id: None,
        code: "UNDECODABLE".to_owned(),
        reason: "it is too short".to_owned(),
        key: None,
        headers: String::new(),
        payload: None,
        at: DateTime::UNIX_EPOCH,
    });
    breaks(&world, &[promise::NO_DEAD_LETTERS]);
}
