//! What may stand on a command topic and cannot be decided: refused, kept, passed over (protocol.md W10).
use crate::{
    fleet::{
        COMMANDS, accepted, code, envelope, events_of, id, id_in, invite, outcome, record_of, run,
        run_with, until,
    },
    toys::{Toys, build, later},
};
use customers::Customers;
use functions::Context;
use shared_events::{
    Fingerprint,
    customers::{CustomerCommand, VerifyCustomer},
    headers::names,
};
use shell::{
    client::Answer,
    memory::{Fleet, FleetOptions},
    port::{log::Outgoing, store::DeadLetter},
};
use uuid::Uuid;

const ID: Uuid = Uuid::from_u128(0xbad);

/// A good record made bad, with a good command behind it in its partition. The bad one becomes a dead letter with its
/// bytes, and is refused where its id can be read; the good one is answered.
pub(crate) fn refused(why: &str, reason: &str, spoil: impl Fn(&mut Outgoing)) {
    let has_id = std::cell::Cell::new(true);
    run(async |fleet| {
        let client = fleet.client::<Customers>();
        let mut bad =
            record_of::<CustomerCommand>(&fleet, &invite(id_in(0, 0), "a@x.org").into(), ID).await;
        spoil(&mut bad);
        has_id.set(bad.headers.iter().any(|(name, it)| name == names::ID && it.len() == 36));
        fleet.log.append(bad.clone());
        // At once, so that both are in one batch.
        let good = accepted(&client, invite(id_in(bad.part, 1), "good@x.org"));
        let (_, _handler) = futures::join!(good, async { fleet.handler::<Customers>() });
        let letter = the_letter(&fleet, "customers");
        assert_eq!((&*letter.code, letter.part, letter.offset), (why, bad.part, 0), "{letter:?}");
        assert!(letter.reason.contains(reason), "{letter:?}");
        assert_eq!((letter.key, letter.payload), (Some(bad.key), Some(bad.payload)));
        let headers: serde_json::Value = serde_json::from_str(&letter.headers).unwrap();
        assert_eq!(headers.as_object().unwrap().len(), bad.headers.len(), "{headers}");
        if has_id.get() {
            assert_eq!(letter.command_id, Some(ID));
            assert_eq!(code(&outcome(&client, "customers", ID).await), why);
        }
        assert_eq!(events_of::<Customers>(&fleet), 1, "only of the good one");
    });
}

#[track_caller]
fn the_letter(fleet: &Fleet, context: &str) -> DeadLetter {
    let letters = fleet.store.dead_letters(context);
    assert_eq!(letters.len(), 1, "{letters:?}");
    letters.into_iter().next().unwrap()
}

fn set(record: &mut Outgoing, name: &str, value: &str) {
    let header = record.headers.iter_mut().find(|it| it.0 == name).unwrap();
    header.1 = value.into();
}

#[test]
fn a_record_that_is_no_avro_is_refused() {
    refused("UNDECODABLE", "", |it| {
        it.payload.truncate(5);
        it.payload.extend([0xff; 40]);
    });
}

#[test]
fn a_record_of_an_unknown_schema_is_refused() {
    refused("UNDECODABLE", "no schema has the id 77", |it| it.payload[4] = 77);
}

#[test]
fn a_truncated_record_is_refused() {
    refused("UNDECODABLE", "", |it| it.payload.truncate(30));
    refused("UNDECODABLE", "3 bytes", |it| it.payload.truncate(3));
    refused("UNDECODABLE", "0 bytes", |it| it.payload.clear());
}

#[test]
fn a_record_with_something_behind_it_is_refused() {
    refused("UNDECODABLE", "", |it| it.payload.push(0));
}

#[test]
fn a_record_with_another_magic_byte_is_refused() {
    refused("UNDECODABLE", "0x01", |it| it.payload[0] = 1);
}

#[test]
fn a_record_whose_header_and_frame_name_two_schemas_is_refused() {
    refused("UNDECODABLE", "fingerprint", |it| {
        set(it, names::SCHEMA, &Fingerprint(7).to_string());
    });
}

#[test]
fn a_record_whose_header_names_another_record_is_refused() {
    let other = "flotilla.customers.RemoveCustomer";
    refused("UNDECODABLE", other, |it| set(it, names::TYPE, other));
}

#[test]
fn a_record_without_headers_is_refused() {
    refused("UNDECODABLE", "ce_", |it| it.headers.clear());
}

#[test]
fn a_record_with_an_id_and_no_other_header_is_refused_under_that_id() {
    refused("UNDECODABLE", "", |it| it.headers.retain(|(name, _)| name == names::ID));
}

#[test]
fn a_record_with_malformed_headers_is_refused() {
    refused("UNDECODABLE", "correlation", |it| set(it, names::CORRELATION, "one"));
    refused("UNDECODABLE", "", |it| it.headers.push(("reply_partition".into(), vec![0xff])));
}

#[test]
fn a_record_in_the_wrong_partition_is_refused() {
    refused("MISROUTED", "partition", |it| it.part = 1);
}

#[test]
fn a_record_under_the_wrong_key_is_refused() {
    refused("MISROUTED", "id", |it| it.key = id(1).to_string().into_bytes());
    refused("MISROUTED", "id", |it| it.key.push(b' '));
    refused("MISROUTED", "id", |it| it.key.clear());
}

#[test]
fn a_command_of_another_context_is_refused() {
    run(async |fleet| {
        let client = fleet.client::<Customers>();
        let mut bad = record_of(&fleet, &build(1, "wheel"), ID).await;
        bad.topic = COMMANDS.into();
        fleet.log.append(bad);
        let _handler = fleet.handler::<Customers>();
        let answer = outcome(&client, "customers", ID).await;
        assert_eq!(code(&answer), "UNKNOWN_COMMAND");
        assert_eq!(the_letter(&fleet, "customers").code, "UNKNOWN_COMMAND");
        accepted(&client, invite(1, "ada@example.com")).await;
    });
}

#[test]
fn a_command_from_the_contexts_own_future_is_refused() {
    run(async |fleet| {
        let client = fleet.client::<Toys>();
        let command = later::DismantleToy { toy_id: id(1) };
        fleet.log.append(record_of::<later::ToyCommand>(&fleet, &command.into(), ID).await);
        let _handler = fleet.handler::<Toys>();
        assert_eq!(code(&outcome(&client, "toys", ID).await), "UNKNOWN_COMMAND");
        assert_eq!(the_letter(&fleet, "toys").code, "UNKNOWN_COMMAND");
        decided(&fleet, "wheel").await;
    });
}

#[test]
fn a_record_that_was_refused_is_not_refused_twice() {
    run(async |fleet| {
        let mut bad = record_of::<CustomerCommand>(&fleet, &invite(1, "a@x.org").into(), ID).await;
        bad.headers.clear();
        let handler = fleet.handler::<Customers>();
        fleet.log.append(bad);
        until("it is a dead letter", || fleet.store.dead_letters("customers").len() == 1).await;
        // The next owner reads it again, as the group may not know yet.
        handler.kill().await;
        let _handler = fleet.handler::<Customers>();
        let client = fleet.client::<Customers>();
        accepted(&client, invite(1, "ada@example.com")).await;
        assert_eq!(the_letter(&fleet, "customers").offset, 0);
    });
}

/// What becomes of a command that tells the toys to do this; a good one behind it is decided.
async fn decided(fleet: &Fleet, part: &str) -> Answer {
    let client = fleet.client::<Toys>();
    let (bad, good) = (build(1, part), build(1, "wheel"));
    let answer = client.command(&bad, envelope(&client));
    let good = client.command(&good, envelope(&client));
    let (answer, good) = futures::join!(answer, good);
    assert_eq!(code(&good.unwrap()), "");
    answer.unwrap()
}

/// A command that the decider itself fails on.
fn fails(part: &str, why: &str, reason: &str) {
    run(async |fleet| {
        let _handler = fleet.handler::<Toys>();
        let answer = decided(&fleet, part).await;
        assert_eq!((code(&answer), answer.version), (why, 0), "{answer:?}");
        let letter = the_letter(&fleet, Toys::NAME);
        assert_eq!(letter.code, why);
        assert!(letter.reason.contains(reason), "{letter:?}");
        assert_eq!(events_of::<Toys>(&fleet), 1, "only of the good one");
        assert_eq!(fleet.store.claims(Toys::NAME), []);
    });
}

#[test]
fn a_decision_that_panics_is_refused() {
    fails("panic", "PANICKED", "told to panic");
}

#[test]
fn a_question_that_panics_is_refused() {
    fails("panic in asks", "PANICKED", "unique values");
}

#[test]
fn an_event_that_cannot_be_taken_note_of_is_refused() {
    fails("cursed", "PANICKED", "told to panic in evolve");
}

#[test]
fn a_value_taken_without_asking_is_refused() {
    fails("no question", "PANICKED", "without asking");
}

#[test]
fn an_event_of_another_stream_is_refused() {
    fails("another stream", "PANICKED", "stream");
}

#[test]
fn an_event_too_large_for_the_topic_is_refused() {
    fails("big", "TOO_LARGE", "at most 100000");
}

#[test]
fn a_command_too_large_for_the_topic_is_not_sent() {
    let small = FleetOptions { message_bytes: 100, ..FleetOptions::default() };
    run_with(small, async |fleet| {
        let _handler = fleet.handler::<Toys>();
        let client = fleet.client::<Toys>();
        let long = "x".repeat(200);
        let error = client.command(&build(1, &long), envelope(&client)).await.unwrap_err();
        assert!(error.to_string().contains("at most 100"), "{error}");
        assert_eq!(fleet.log.records("toys.commands", 0), []);
    });
}

#[test]
fn a_command_that_waits_among_bad_ones_of_all_partitions_is_answered() {
    run(async |fleet| {
        for n in 0..60 {
            let command = VerifyCustomer { customer_id: id(n) };
            let mut bad = record_of::<CustomerCommand>(&fleet, &command.into(), id(n)).await;
            bad.payload[usize::try_from(n).unwrap() % 10] ^= 0x55;
            fleet.log.append(bad);
        }
        let client = fleet.client::<Customers>();
        let _handler = fleet.handler::<Customers>();
        for n in 0..9 {
            accepted(&client, invite(1000 + n, &format!("{n}@example.com"))).await;
        }
        assert_eq!(events_of::<Customers>(&fleet), 9);
    });
}
