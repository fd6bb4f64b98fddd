//! Old bytes are still read: the worked example of the README.
use crate::toy::{Place, ToyEvent, ToyNamed, ToyPainted, ToySold, ToyWrapped, then};
use shared_events::{Decoded, Message, Money, WriterSchema};
use uuid::Uuid;

const TOY: Uuid = Uuid::from_u128(7);

/// What an earlier build wrote, read by today's.
fn read_today(old: impl Into<then::ToyEvent>) -> Decoded<ToyEvent> {
    let old = old.into();
    let mut datum = Vec::new();
    old.encode(&mut datum).unwrap();
    let writer = WriterSchema::parse(old.record().json()).unwrap();
    ToyEvent::decode(&writer, &datum).unwrap()
}

fn euros(amount_minor: i64) -> Money {
    Money { amount_minor, currency: "EUR".to_owned() }
}

#[test]
fn a_renamed_event_is_read_under_its_new_name() {
    let old = then::ToyBaptized { toy_id: TOY, name: "Ted".to_owned() };
    let new = ToyNamed { toy_id: TOY, name: "Ted".to_owned() };
    assert_eq!(read_today(old), Decoded::Messages(vec![new.into()]));
}

#[test]
fn an_event_that_got_fields_is_read_with_their_defaults() {
    let old = then::ToySold { toy_id: TOY, price: euros(1250) };
    let new = ToySold {
        toy_id: TOY,
        price: euros(1250),
        place: Place::Shop,
        postage: 0,
        tips: vec![],
        sold_at: None,
    };
    assert_eq!(read_today(old), Decoded::Messages(vec![new.into()]));
}

#[test]
fn an_event_that_was_split_is_read_as_two() {
    let old = then::ToyFinished { toy_id: TOY, colour: "red".to_owned(), paper: "gold".to_owned() };
    let painted = ToyPainted { toy_id: TOY, colour: "red".to_owned() };
    let wrapped = ToyWrapped { toy_id: TOY, paper: "gold".to_owned() };
    assert_eq!(read_today(old), Decoded::Messages(vec![painted.into(), wrapped.into()]));
}

#[test]
fn an_event_that_nobody_needs_is_read_as_none() {
    assert_eq!(read_today(then::ToySeen { toy_id: TOY }), Decoded::Messages(vec![]));
}

/// The other way round: a build that was not replaced yet meets today's events.
#[test]
fn an_old_build_reads_what_it_knows_and_passes_over_the_rest() {
    let read_then = |new: ToyEvent| {
        let mut datum = Vec::new();
        new.encode(&mut datum).unwrap();
        let writer = WriterSchema::parse(new.record().json()).unwrap();
        then::ToyEvent::decode(&writer, &datum).unwrap()
    };
    let sold = ToySold {
        toy_id: TOY,
        price: euros(1250),
        place: Place::Post,
        postage: 399,
        tips: vec![euros(50), euros(20)],
        sold_at: chrono::DateTime::from_timestamp_micros(1_800_000_000_000_001),
    };
    let known = then::ToySold { toy_id: TOY, price: euros(1250) };
    assert_eq!(read_then(sold.into()), Decoded::Messages(vec![known.into()]));
    let painted = ToyPainted { toy_id: TOY, colour: "red".to_owned() };
    assert_eq!(read_then(painted.into()), Decoded::FromTheFuture);
}

/// Not written by this code, but by Avro's rules on paper: lengths are doubled, texts follow, longs are zigzag.
#[test]
fn bytes_from_elsewhere_are_read() {
    let schema = r#"{"type": "record", "name": "flotilla.toys.ToySold", "fields": [
        {"name": "price", "type": {"type": "record", "name": "flotilla.fleet.Money", "fields": [
            {"name": "currency", "type": "string"}, {"name": "amount_minor", "type": "int"}]}},
        {"name": "till", "type": ["null", "string"]},
        {"name": "toy_id", "type": {"type": "string", "logicalType": "uuid"}}]}"#;
    let mut datum = vec![6];
    datum.extend_from_slice(b"EUR");
    datum.extend_from_slice(&[0xc4, 0x13]); // 1250
    datum.extend_from_slice(&[2, 4]);
    datum.extend_from_slice(b"A1");
    datum.push(72);
    datum.extend_from_slice(b"00000000-0000-0000-0000-000000000007");
    let writer = WriterSchema::parse(schema).unwrap();
    let Decoded::Messages(messages) = ToyEvent::decode(&writer, &datum).unwrap() else {
        panic!("a known record");
    };
    let [ToyEvent::ToySold(sold)] = messages.as_slice() else { panic!("{messages:?}") };
    assert_eq!((sold.toy_id, &sold.price), (TOY, &euros(1250)));
}

#[test]
fn the_family_lists_what_it_writes_and_what_it_only_reads() {
    let names = |it: Vec<&shared_events::RecordSchema>| {
        it.iter().map(|it| it.name().to_owned()).collect::<Vec<_>>()
    };
    let family = ToyEvent::family();
    assert_eq!(family.topic, "toys.events");
    assert_eq!(family.doc, "What happened to toys.");
    assert_eq!(
        names(family.records().collect()),
        ["ToyNamed", "ToySold", "ToyPainted", "ToyWrapped"].map(|it| format!("flotilla.toys.{it}"))
    );
    assert_eq!(
        names(family.retired().collect()),
        ["ToyBaptized", "ToyFinished", "ToySeen"].map(|it| format!("flotilla.toys.{it}"))
    );
}
