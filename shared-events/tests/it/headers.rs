//! Envelopes: what is written is read, rubbish is named, nothing panics.
use chrono::DateTime;
use proptest::{collection::vec, option, prelude::*};
use shared_events::{
    Fingerprint,
    headers::{
        CommandHeaders, EventHeaders, HeaderError, RawHeaders, ReplyHeaders, ReplyTo, RestsOn,
        names,
    },
};
use uuid::Uuid;

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn command() -> CommandHeaders {
    CommandHeaders {
        id: Uuid::from_u128(1),
        record: "flotilla.customers.InviteCustomer".to_owned(),
        source: "bff".to_owned(),
        time: DateTime::from_timestamp_micros(1_800_000_000_000_001).unwrap(),
        fingerprint: Fingerprint(0x80_79_3a_8b_cb_7e_9c_60),
        correlation: Uuid::from_u128(2),
        causation: None,
        traceparent: Some(TRACE.to_owned()),
        actor: Some("zoë@example.org".to_owned()),
        expected_version: Some(3),
        reply_to: Some(ReplyTo { partition: 7, instance: "bff-1".to_owned() }),
    }
}

fn with(headers: RawHeaders, name: &str, value: impl Into<Vec<u8>>) -> RawHeaders {
    let mut headers = without(headers, name);
    headers.push((name.to_owned(), value.into()));
    headers
}

fn without(mut headers: RawHeaders, name: &str) -> RawHeaders {
    headers.retain(|(it, _)| it != name);
    headers
}

#[test]
fn the_names_and_forms_are_those_of_the_design() {
    let text = |(name, value): (String, Vec<u8>)| (name, String::from_utf8(value).unwrap());
    let written: Vec<_> = command().write().into_iter().map(text).collect();
    let expected = [
        ("ce_specversion", "1.0"),
        ("ce_id", "00000000-0000-0000-0000-000000000001"),
        ("ce_type", "flotilla.customers.InviteCustomer"),
        ("ce_source", "bff"),
        ("ce_time", "2027-01-15T08:00:00.000001Z"),
        ("schema", "609c7ecb8b3a7980"),
        ("correlation", "00000000-0000-0000-0000-000000000002"),
        ("traceparent", TRACE),
        ("actor", "zoë@example.org"),
        ("expected_version", "3"),
        ("reply_partition", "7"),
        ("reply_instance", "bff-1"),
    ];
    assert_eq!(written, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[test]
fn a_missing_header_is_named() {
    let required = [
        names::ID,
        names::TYPE,
        names::SOURCE,
        names::TIME,
        names::SCHEMA,
        names::CORRELATION,
        names::REPLY_INSTANCE,
        names::REPLY_PARTITION,
    ];
    for header in required {
        let error = CommandHeaders::read(&without(command().write(), header)).unwrap_err();
        assert_eq!(error, HeaderError::Missing { header });
        assert_eq!(error.to_string(), format!("the header {header} is missing"));
    }
    let both = without(command().write(), names::REPLY_INSTANCE);
    let neither = CommandHeaders::read(&without(both, names::REPLY_PARTITION)).unwrap();
    assert_eq!(neither.reply_to, None);
}

#[test]
fn a_malformed_header_is_named_with_its_value() {
    let id = "0000000A-0000-0000-0000-000000000001";
    for (header, value) in [
        (names::ID, id),
        (names::ID, "00000000000000000000000000000001"),
        (names::ID, "{00000000-0000-0000-0000-000000000001}"),
        (names::TYPE, ""),
        (names::SOURCE, "a\0b"),
        (names::ACTOR, "line\nfeed"),
        (names::TIME, "yesterday"),
        (names::TIME, "2027-01-15T08:00:00+01:00"),
        (names::TIME, "99999-01-15T08:00:00Z"),
        (names::SCHEMA, "609C7ECB8B3A7980"),
        (names::SCHEMA, "+09c7ecb8b3a7980"),
        (names::EXPECTED_VERSION, "+3"),
        (names::EXPECTED_VERSION, "03"),
        (names::EXPECTED_VERSION, "-0"),
        (names::EXPECTED_VERSION, " 3"),
        (names::EXPECTED_VERSION, "3.0"),
        (names::EXPECTED_VERSION, "9223372036854775808"),
        (names::REPLY_PARTITION, "2147483648"),
        (names::SPEC_VERSION, "2.0"),
    ] {
        let error = CommandHeaders::read(&with(command().write(), header, value)).unwrap_err();
        let HeaderError::Malformed { header: named, value: shown, .. } = &error else {
            panic!("{header}: {error}");
        };
        assert_eq!((*named, shown.as_str()), (header, value));
    }
    let error = CommandHeaders::read(&with(command().write(), names::ID, id)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the header ce_id is \"0000000A-0000-0000-0000-000000000001\", \
         but should be an id of 36 characters in lower case"
    );
    let error = CommandHeaders::read(&with(command().write(), names::ACTOR, vec![0xff; 9]));
    assert!(matches!(error, Err(HeaderError::Malformed { header: names::ACTOR, .. })));
}

#[test]
fn absurd_values_are_refused_and_not_repeated() {
    let long = CommandHeaders::read(&with(command().write(), names::ACTOR, vec![b'a'; 1_000_000]));
    let long = long.unwrap_err();
    assert_eq!(long, HeaderError::TooLong { header: names::ACTOR, bytes: 1_000_000 });
    for header in [names::ID, names::SPEC_VERSION] {
        let rubbish = vec![0xf0; 1000];
        let error = CommandHeaders::read(&with(command().write(), header, rubbish)).unwrap_err();
        assert!(error.to_string().len() < 400, "{error}");
    }
}

#[test]
fn a_malformed_trace_is_passed_over() {
    let zeros = "00000000000000000000000000000000";
    for bad in [
        "",
        "rubbish",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        &format!("00-{zeros}-00f067aa0ba902b7-01"),
    ] {
        let read = CommandHeaders::read(&with(command().write(), names::TRACEPARENT, bad));
        assert_eq!(read.unwrap().traceparent, None, "{bad}");
        let written = CommandHeaders { traceparent: Some(bad.to_owned()), ..command() }.write();
        assert!(!written.iter().any(|(name, _)| name == names::TRACEPARENT), "{bad}");
    }
    let later = "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes";
    let read = CommandHeaders::read(&with(command().write(), names::TRACEPARENT, later));
    assert_eq!(read.unwrap().traceparent.as_deref(), Some(later));
    let rubbish = with(command().write(), names::TRACEPARENT, vec![0xff; 5000]);
    assert_eq!(CommandHeaders::read(&rubbish).unwrap().traceparent, None);
}

#[test]
fn the_first_of_a_name_counts_and_strange_ones_do_not() {
    let mut headers = command().write();
    headers.push((names::ACTOR.to_owned(), b"somebody else".to_vec()));
    headers.push(("x-other".to_owned(), vec![0xff]));
    assert_eq!(CommandHeaders::read(&headers), Ok(command()));
}

fn uuid() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

fn text() -> impl Strategy<Value = String> {
    "[^\\p{Cc}]{1,60}"
}

fn trace() -> impl Strategy<Value = Option<String>> {
    option::of(
        (1..u128::MAX, 1..u64::MAX, any::<u8>()).prop_map(|(trace, parent, flags)| {
            format!("00-{trace:032x}-{parent:016x}-{flags:02x}")
        }),
    )
}

fn rests_on() -> impl Strategy<Value = Option<RestsOn>> {
    let it = (any::<i64>(), any::<i64>());
    option::of(it.prop_map(|(pseq, incarnation)| RestsOn { pseq, incarnation }))
}

/// Within the years that RFC 3339 can write.
fn instant() -> impl Strategy<Value = DateTime<chrono::Utc>> {
    (-62_135_596_800_000_000i64..253_402_300_800_000_000)
        .prop_map(|it| DateTime::from_timestamp_micros(it).unwrap())
}

prop_compose! {
    fn any_command()(
        id in uuid(), record in text(), source in text(), time in instant(),
        fingerprint in any::<u64>(), correlation in uuid(), causation in option::of(uuid()),
        traceparent in trace(), actor in option::of(text()),
        expected_version in option::of(any::<i64>()),
        reply_to in option::of((any::<i32>(), text())),
    ) -> CommandHeaders {
        let reply_to = reply_to.map(|(partition, instance)| ReplyTo { partition, instance });
        CommandHeaders {
            id, record, source, time, fingerprint: Fingerprint(fingerprint), correlation,
            causation, traceparent, actor, expected_version, reply_to,
        }
    }
}

prop_compose! {
    fn any_event()(
        it in any_command(), causation in uuid(), stream in uuid(),
        (pseq, version, incarnation) in any::<(i64, i64, i64)>(),
    ) -> EventHeaders {
        EventHeaders {
            id: it.id, record: it.record, source: it.source, time: it.time,
            fingerprint: it.fingerprint, correlation: it.correlation, causation,
            traceparent: it.traceparent, actor: it.actor, stream, pseq, version, incarnation,
        }
    }
}

fn any_headers() -> impl Strategy<Value = RawHeaders> {
    let name = prop_oneof![
        Just(names::ID.to_owned()),
        Just(names::TIME.to_owned()),
        Just(names::SCHEMA.to_owned()),
        Just(names::TRACEPARENT.to_owned()),
        Just(names::PSEQ.to_owned()),
        Just(names::REPLY_PARTITION.to_owned()),
        any::<String>(),
    ];
    vec((name, vec(any::<u8>(), 0..80)), 0..12)
}

proptest! {
    #[test]
    fn commands_survive(headers in any_command()) {
        prop_assert_eq!(CommandHeaders::read(&headers.write()), Ok(headers));
    }

    #[test]
    fn events_survive(headers in any_event()) {
        prop_assert_eq!(EventHeaders::read(&headers.write()), Ok(headers));
    }

    #[test]
    fn replies_survive(command_id in uuid(), instance in text(), bits in any::<u64>(), request_hash in any::<[u8; 16]>(), rests_on in rests_on(), traceparent in trace()) {
        let fingerprint = Fingerprint(bits);
        let headers =
            ReplyHeaders { command_id, request_hash, instance, fingerprint, rests_on, traceparent };
        prop_assert_eq!(ReplyHeaders::read(&headers.write()), Ok(headers));
    }

    /// Neither rubbish alone nor rubbish in an honest envelope.
    #[test]
    fn rubbish_never_panics(rubbish in any_headers(), event in any_event(), command in any_command()) {
        let _ = CommandHeaders::read(&rubbish);
        let _ = EventHeaders::read(&rubbish);
        let _ = ReplyHeaders::read(&rubbish);
        let mixed = |honest: RawHeaders| rubbish.iter().cloned().chain(honest).collect::<Vec<_>>();
        let _ = EventHeaders::read(&mixed(event.write()));
        let _ = CommandHeaders::read(&mixed(command.write()));
    }

    #[test]
    fn fingerprints_survive(bits in any::<u64>(), text in any::<String>()) {
        prop_assert_eq!(Fingerprint(bits).to_string().parse(), Ok(Fingerprint(bits)));
        let _ = text.parse::<Fingerprint>();
    }
}
