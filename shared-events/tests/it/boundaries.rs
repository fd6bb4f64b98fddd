//! Bytes from the world: what is right is read, all else is refused with a reason, and nothing panics.
use crate::toy::then::{ToyBaptized, ToyEvent, ToySold};
use proptest::{collection::vec, option, prelude::*};
use shared_events::{
    DecodeError, Decoded, Fingerprint, Message, SchemaError, WriterSchema,
    customers::{CustomerCommand, CustomerEvent},
    families,
    fleet::{PositionEntry, Reply, RepublishEvents, Verdict},
    frame::{FrameError, frame, unframe},
    known_schema,
};
use uuid::Uuid;

/// A record that never changes, whatever becomes of the fleet's.
fn named() -> ToyEvent {
    ToyBaptized { toy_id: Uuid::from_u128(7), name: "Teddy".to_owned() }.into()
}

fn encoded<M: Message>(message: &M) -> Vec<u8> {
    let mut datum = Vec::new();
    message.encode(&mut datum).unwrap();
    datum
}

fn writer<M: Message>(message: &M) -> WriterSchema {
    WriterSchema::parse(message.record().json()).unwrap()
}

#[test]
fn a_datum_is_what_avro_says() {
    let mut expected = vec![72];
    expected.extend_from_slice(b"00000000-0000-0000-0000-000000000007");
    expected.push(10);
    expected.extend_from_slice(b"Teddy");
    assert_eq!(encoded(&named()), expected);
}

#[test]
fn every_message_has_its_key() {
    let id = Uuid::from_u128(7);
    assert_eq!(named().stream(), id);
    assert_eq!(reply().stream(), Uuid::from_u128(9), "the command, not the field of that name");
    assert_eq!(republish().stream(), Uuid::nil());
    assert_eq!(named().record().name(), "flotilla.toys.ToyBaptized");
    assert_eq!(ToyBaptized::NAME, named().record().name());
}

fn republish() -> RepublishEvents {
    RepublishEvents { context: "customers".to_owned(), partition: 3, from_pseq: 12 }
}

#[test]
fn text_with_nul_is_refused_both_ways() {
    let nul = ToyBaptized { toy_id: Uuid::nil(), name: "a\0b".to_owned() };
    let mut into = vec![1, 2, 3];
    let error = ToyEvent::from(nul).encode(&mut into).unwrap_err();
    assert_eq!(into, [1, 2, 3], "nothing is half written");
    assert_eq!(
        error.to_string(),
        "flotilla.toys.ToyBaptized cannot be written: field name: a text holds U+0000, \
         which the fleet's databases cannot keep; leave it out"
    );
    let nested = PositionEntry { context: "\0".to_owned(), incarnation: 1, partition: 1, pseq: 1 };
    let nested = Reply { position: vec![nested], ..reply() }.encode(&mut into).unwrap_err();
    assert!(nested.reason.starts_with("field position: a text holds U+0000"), "{nested}");

    let mut datum = encoded(&named());
    *datum.last_mut().unwrap() = 0;
    let error = ToyEvent::decode(&writer(&named()), &datum).unwrap_err();
    assert!(error.to_string().contains("U+0000"), "{error}");
}

#[test]
fn a_truncated_datum_is_refused_wherever_it_ends() {
    let datum = encoded(&named());
    for end in 0..datum.len() {
        let error = ToyEvent::decode(&writer(&named()), &datum[..end]).unwrap_err();
        let DecodeError::Malformed { record, bytes, .. } = error else { panic!("{error}") };
        assert_eq!((record.as_str(), bytes), (ToyBaptized::NAME, end));
    }
}

#[test]
fn bytes_after_the_datum_are_refused() {
    let mut datum = encoded(&named());
    datum.extend_from_slice(&[0, 0]);
    let error = ToyEvent::decode(&writer(&named()), &datum).unwrap_err();
    let record = ToyBaptized::NAME.to_owned();
    assert_eq!(error, DecodeError::Trailing { record, bytes: 2 });
}

#[test]
fn another_record_is_not_taken_for_ours() {
    // An event where commands are expected, and a record of nobody.
    let event = named();
    assert_eq!(
        CustomerCommand::decode(&writer(&event), &encoded(&event)),
        Ok(Decoded::FromTheFuture)
    );
    assert_eq!(Reply::decode(&writer(&event), &encoded(&event)), Ok(Decoded::FromTheFuture));
    let renamed = event.record().json().replace("ToyBaptized", "ToyConscripted");
    let renamed = WriterSchema::parse(&renamed).unwrap();
    assert_eq!(ToyEvent::decode(&renamed, &encoded(&event)), Ok(Decoded::FromTheFuture));
    // The short name alone is not the record.
    let foreign = event.record().json().replace("flotilla.toys", "elsewhere.toys");
    let foreign = WriterSchema::parse(&foreign).unwrap();
    assert_eq!(ToyEvent::decode(&foreign, &encoded(&event)), Ok(Decoded::FromTheFuture));
}

#[test]
fn headers_that_disagree_with_the_frame_are_refused() {
    let writer = writer(&named());
    assert_eq!(writer.agrees_with(ToyBaptized::NAME, writer.fingerprint()), Ok(()));
    let other = ToySold::schema();
    for (record, fingerprint) in
        [(other.name(), writer.fingerprint()), (ToyBaptized::NAME, other.fingerprint())]
    {
        let told = writer.agrees_with(record, fingerprint).unwrap_err().to_string();
        assert!(told.contains(record) && told.contains(writer.name()), "{told}");
    }
}

#[test]
fn an_id_that_is_none_is_refused() {
    let mut datum = encoded(&named());
    datum[1] = b'x';
    let error = ToyEvent::decode(&writer(&named()), &datum).unwrap_err().to_string();
    assert!(error.contains("is no id of 36 characters"), "{error}");
}

/// A length is only believed as far as there are bytes.
#[test]
fn absurd_lengths_are_refused_at_once() {
    let absurd = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]; // i64::MAX
    let error = ToyEvent::decode(&writer(&named()), &absurd).unwrap_err();
    assert!(matches!(error, DecodeError::Malformed { .. }), "{error}");

    // The last field of a reply is an array, empty here: its count is the last byte.
    let mut datum = encoded(&reply());
    datum.pop();
    datum.extend_from_slice(&absurd);
    let error = Reply::decode(&writer(&reply()), &datum).unwrap_err();
    assert!(matches!(error, DecodeError::Malformed { .. }), "{error}");

    // Items without bytes in a field that is skipped: nothing but the count ends them.
    let schema = r#"{"type": "record", "name": "flotilla.toys.ToySeen", "fields": [
        {"name": "nothing", "type": {"type": "array", "items": "null"}},
        {"name": "toy_id", "type": "string"}]}"#;
    let nothing = WriterSchema::parse(schema).unwrap();
    let error = ToyEvent::decode(&nothing, &absurd).unwrap_err();
    assert!(matches!(error, DecodeError::Malformed { .. }), "{error}");
}

fn reply() -> Reply {
    Reply {
        command_id: Uuid::from_u128(9),
        verdict: Verdict::Rejected,
        stream: Uuid::from_u128(7),
        version: 3,
        code: Some("EMAIL_TAKEN".to_owned()),
        message: None,
        details: None,
        position: vec![],
    }
}

#[test]
fn a_word_from_the_future_is_refused() {
    let schema = reply().record().json().replace("\"REJECTED\"\n", "\"REJECTED\", \"POSTPONED\"\n");
    let later = WriterSchema::parse(&schema).unwrap();
    assert_ne!(later.fingerprint(), reply().record().fingerprint());
    let mut datum = encoded(&reply());
    assert_eq!(Reply::decode(&later, &datum), Ok(Decoded::Messages(vec![reply()])));
    datum[37] = 4; // After the command's id: the third word.
    let error = Reply::decode(&later, &datum).unwrap_err().to_string();
    assert!(error.contains("unknown word"), "{error}");
}

#[test]
fn frames() {
    assert_eq!(frame(0x0102_0304, b"datum"), b"\0\x01\x02\x03\x04datum");
    assert_eq!(unframe(b"\0\x01\x02\x03\x04datum"), Ok((0x0102_0304, b"datum".as_slice())));
    assert_eq!(unframe(b"\0\0\0\0\x01"), Ok((1, b"".as_slice())));
    for bytes in 0..5 {
        assert_eq!(unframe(&vec![0; bytes]), Err(FrameError::TooShort { bytes }));
    }
    assert_eq!(unframe(b"{\"json\": 1}"), Err(FrameError::NoMagic { magic: b'{' }));
    assert_eq!(unframe(b"\x01"), Err(FrameError::NoMagic { magic: 1 }));
}

#[test]
fn schemas_that_are_none() {
    assert!(matches!(WriterSchema::parse("rubbish"), Err(SchemaError::Malformed { .. })));
    assert!(matches!(WriterSchema::parse("\"string\""), Err(SchemaError::NoRecord { .. })));
    let long = " ".repeat(300 * 1024);
    assert_eq!(
        WriterSchema::parse(&long).unwrap_err().to_string(),
        "a schema of 307200 bytes is refused; at most 262144 are read"
    );
    let deep = "[".repeat(200_000);
    assert!(matches!(WriterSchema::parse(&deep), Err(SchemaError::Malformed { .. })));
    let endless = r#"{"type": "record", "name": "a.T", "fields": [{"name": "t", "type": "T"}]}"#;
    let told = WriterSchema::parse(endless).map(|it| ToyEvent::decode(&it, b""));
    assert!(told.is_err() || told == Ok(Ok(Decoded::FromTheFuture)));
    assert!(known_schema(Fingerprint(1)).is_none());
}

/// Every record of the fleet: its own schema is known without a registry.
#[test]
fn every_record_is_known() {
    for record in families().into_iter().flat_map(|it| it.records().chain(it.retired())) {
        assert_eq!(known_schema(record.fingerprint()).unwrap().name(), record.name());
        assert_eq!(WriterSchema::parse(record.json()).unwrap().json(), record.json());
    }
}

fn uuid() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

fn text() -> impl Strategy<Value = String> {
    "[^\\x00]{0,40}"
}

prop_compose! {
    fn any_reply()(
        command_id in uuid(), accepted in any::<bool>(), stream in uuid(), version in any::<i64>(),
        code in option::of(text()), message in option::of(text()), details in option::of(text()),
        position in vec((text(), any::<i64>(), any::<i32>(), any::<i64>()), 0..5),
    ) -> Reply {
        let verdict = if accepted { Verdict::Accepted } else { Verdict::Rejected };
        let position = position.into_iter().map(|(context, incarnation, partition, pseq)| {
            PositionEntry { context, incarnation, partition, pseq }
        });
        let position = position.collect();
        Reply { command_id, verdict, stream, version, code, message, details, position }
    }
}

proptest! {
    #[test]
    fn replies_survive(reply in any_reply()) {
        let read = Reply::decode(&writer(&reply), &encoded(&reply));
        prop_assert_eq!(read, Ok(Decoded::Messages(vec![reply])));
    }

    #[test]
    fn frames_survive(id in any::<u32>(), datum in vec(any::<u8>(), 0..50)) {
        let framed = frame(id, &datum);
        prop_assert_eq!(unframe(&framed), Ok((id, datum.as_slice())));
        let _ = unframe(&datum);
    }

    /// With every schema of the fleet, and read as every family.
    #[test]
    fn rubbish_never_panics(rubbish in vec(any::<u8>(), 0..120)) {
        for record in families().into_iter().flat_map(shared_events::Family::records) {
            let writer = known_schema(record.fingerprint()).unwrap();
            let _ = CustomerCommand::decode(writer, &rubbish);
            let _ = CustomerEvent::decode(writer, &rubbish);
            let _ = Reply::decode(writer, &rubbish);
            let _ = RepublishEvents::decode(writer, &rubbish);
        }
    }

    /// Honest bytes with a few changed: closer to what the world does.
    #[test]
    fn damage_never_panics(reply in any_reply(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut datum = encoded(&reply);
        let at = at.index(datum.len());
        datum[at] = byte;
        let _ = Reply::decode(&writer(&reply), &datum);
    }

    #[test]
    fn schemas_of_rubbish_never_panic(text in "[\\[\\]{}\",:a-z0-9]{0,60}") {
        let _ = WriterSchema::parse(&text);
    }
}
