//! The gate fails as it should, names whom it should, and passes what is committed.
use crate::toy::{ToyEvent, then};
use shared_events::{
    Kind, Message, WriterSchema,
    compatibility::{Break, Rule, Who, check, check_committed},
};

#[test]
fn nothing_committed_breaks_anybody() {
    let breaks = check_committed().unwrap();
    let told: Vec<_> = breaks.iter().map(Break::to_string).collect();
    assert!(told.is_empty(), "{}", told.join("\n"));
}

#[test]
fn events_and_replies_promise_most() {
    for kind in [Kind::Event, Kind::Reply] {
        assert_eq!(kind.rule(), Rule::FullTransitive);
    }
    for kind in [Kind::Command, Kind::Control] {
        assert_eq!(kind.rule(), Rule::Backward);
    }
    assert_eq!(Rule::FullTransitive.to_string(), "FULL_TRANSITIVE");
    assert_eq!(Rule::Backward.to_string(), "BACKWARD");
}

/// A record with these fields.
fn record(fields: &str) -> String {
    format!(r#"{{"type": "record", "name": "flotilla.toys.T", "fields": [{fields}]}}"#)
}

/// What the versions break, as text.
fn broken(rule: Rule, versions: &[&str]) -> Vec<String> {
    let versions: Vec<_> = (1..).zip(versions.iter().map(|it| record(it))).collect();
    let versions: Vec<_> = versions.iter().map(|(n, it)| (*n, it.as_str())).collect();
    check(rule, &versions).unwrap().iter().map(Break::to_string).collect()
}

fn events(versions: &[&str]) -> Vec<String> {
    broken(Rule::FullTransitive, versions)
}

const A: &str = r#"{"name": "a", "type": "long"}"#;
const A_DEFAULT: &str = r#"{"name": "a", "type": "long", "default": 0}"#;
const A_INT: &str = r#"{"name": "a", "type": "int"}"#;
const A_TEXT: &str = r#"{"name": "a", "type": "string"}"#;
const A_OR_NULL: &str = r#"{"name": "a", "type": ["null", "long"], "default": null}"#;
const A_MICROS: &str =
    r#"{"name": "a", "type": {"type": "long", "logicalType": "timestamp-micros"}}"#;
const A_MILLIS: &str =
    r#"{"name": "a", "type": {"type": "long", "logicalType": "timestamp-millis"}}"#;
const B: &str = r#"{"name": "b", "type": "string"}"#;
const B_DEFAULT: &str = r#"{"name": "b", "type": "string", "default": ""}"#;

#[test]
fn a_new_field_without_default_breaks_new_readers() {
    let told = "flotilla.toys.T, field b: new readers break (version 2 reads what 1 writes): \
                the field was not written and has no default; give it one";
    assert_eq!(events(&[A, &format!("{A}, {B}")]), [told]);
    assert_eq!(broken(Rule::Backward, &[A, &format!("{A}, {B}")]), [told]);
    assert_eq!(events(&[A, &format!("{A}, {B_DEFAULT}")]), [""; 0]);
}

#[test]
fn a_removed_field_without_default_breaks_old_readers() {
    let told = "flotilla.toys.T, field b: old readers break (version 1 reads what 2 writes): \
                the field was not written and has no default; give it one";
    assert_eq!(events(&[&format!("{A}, {B}"), A]), [told]);
    // A command may lose a field: its readers are new before its writers are.
    assert_eq!(broken(Rule::Backward, &[&format!("{A}, {B}"), A]), [""; 0]);
    assert_eq!(events(&[&format!("{A}, {B_DEFAULT}"), A]), [""; 0]);
}

#[test]
fn a_changed_type_breaks_both() {
    assert_eq!(
        events(&[A, A_TEXT]),
        [
            "flotilla.toys.T, field a: new readers break (version 2 reads what 1 writes): \
             long was written, string is read; keep the field as it is and add another",
            "flotilla.toys.T, field a: old readers break (version 1 reads what 2 writes): \
             string was written, long is read; keep the field as it is and add another",
        ]
    );
}

#[test]
fn a_wider_number_breaks_old_readers_only() {
    assert_eq!(broken(Rule::Backward, &[A_INT, A]), [""; 0]);
    assert_eq!(events(&[A_INT, A]).len(), 1);
    assert!(events(&[A_INT, A])[0].contains("old readers"));
}

#[test]
fn another_meaning_of_the_same_bytes_breaks_both() {
    assert_eq!(events(&[A_MICROS, A_MILLIS]).len(), 2);
    assert_eq!(events(&[A, A_MICROS]).len(), 2);
}

#[test]
fn a_value_that_may_be_missing_now_breaks_old_readers() {
    assert_eq!(
        events(&[A, A_OR_NULL]),
        ["flotilla.toys.T, field a: old readers break (version 1 reads what 2 writes): \
          null was written, long is read; keep the field as it is and add another"]
    );
    assert!(events(&[A_OR_NULL, A])[0].contains("new readers"));
}

/// Each step is fine with its neighbour, yet the ends do not read each other.
#[test]
fn events_of_every_age_are_compared() {
    let steps = [A, &format!("{A}, {B_DEFAULT}"), &format!("{A}, {B}")];
    let told = events(&steps);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("field b: new readers break (version 3 reads what 1 writes)"));
    assert_eq!(broken(Rule::Backward, &steps), [""; 0]);
}

#[test]
fn a_default_may_come_and_go_where_the_field_is_always_written() {
    assert_eq!(events(&[A, A_DEFAULT, A]), [""; 0]);
}

#[test]
fn fields_of_fields_are_named() {
    let nested = |fields: &str| {
        format!(
            r#"{{"name": "list", "type": {{"type": "array", "items":
               {{"type": "record", "name": "flotilla.toys.P", "fields": [{fields}]}}}}}}"#
        )
    };
    let told = events(&[&nested(A), &nested(&format!("{A}, {B}"))]);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("flotilla.toys.T, field list.[].b: new readers break"));
}

#[test]
fn a_new_word_breaks_old_readers() {
    let words = |words: &str| {
        format!(
            r#"{{"name": "w", "type": {{"type": "enum", "name": "flotilla.toys.W", "symbols": [{words}]}}}}"#
        )
    };
    assert_eq!(
        events(&[&words(r#""A""#), &words(r#""A", "B""#)]),
        ["flotilla.toys.T, field w: old readers break (version 1 reads what 2 writes): \
          the words B may be written, but are not known"]
    );
}

#[test]
fn a_renamed_record_is_another_record() {
    let versions = [(1, record(A)), (2, record(A).replace("toys.T", "toys.U"))];
    let versions = versions.each_ref().map(|(n, it)| (*n, it.as_str()));
    let breaks = check(Rule::FullTransitive, &versions).unwrap();
    assert_eq!(breaks.len(), 2);
    assert_eq!((breaks[0].who, breaks[0].field.as_str()), (Who::NewReaders, ""));
    assert!(breaks[0].why.contains("retired"), "{}", breaks[0]);
}

/// The worked example of the README passes the gate.
#[test]
fn the_toys_are_compatible() {
    for old in then::ToyEvent::family().records() {
        let mut today = ToyEvent::family().records().chain(ToyEvent::family().retired());
        let new = today.find(|it| it.name() == old.name()).unwrap();
        let versions = [(1, old.json()), (2, new.json())];
        assert_eq!(check(Rule::FullTransitive, &versions).unwrap(), []);
        assert!(WriterSchema::parse(new.json()).is_ok());
    }
}
