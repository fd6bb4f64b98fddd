//! Columns, and the JSON form of rows.
use chrono::{DateTime, NaiveDate, Utc};
use functions::{Column, ColumnKind, Follows, Happened, Key, Message, Project, View};
use serde_json::{Value, json};
use shared_events::customers::CustomerEvent;
use uuid::Uuid;

functions::text_enum! {
    /// A text.
    pub enum Colour {
        /// Red.
        Red = "RED",
        /// Blue as the sky.
        SkyBlue = "SKY_BLUE",
    }
}

functions::row! {
    /// One of each.
    pub struct OneOfEach in "one_of_each" {
        /// The key.
        pub id: Uuid,
        /// A text.
        pub text: String,
        /// An enum.
        pub colour: Colour,
        /// An integer.
        pub integer: i64,
        /// A small one.
        pub small: i32,
        /// A truth.
        pub truth: bool,
        /// An instant.
        pub instant: DateTime<Utc>,
        /// A day.
        pub day: NaiveDate,
        /// Perhaps an instant.
        pub maybe_instant: Option<DateTime<Utc>>,
        /// Perhaps an enum.
        pub maybe_colour: Option<Colour>,
    }
    revision 7;
    follows CustomerEvent;
}

impl Project<CustomerEvent> for OneOfEach {
    fn key(event: &CustomerEvent, _: &Happened) -> Option<Uuid> {
        Some(event.stream())
    }

    fn project(row: Option<Self>, _: &CustomerEvent, _: &Happened) -> Option<Self> {
        row
    }
}

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().expect("an instant")
}

fn row() -> OneOfEach {
    OneOfEach {
        id: uuid::uuid!("0198C0DE-0000-7000-8000-0000000000AB"),
        text: "ü \"quoted\"".to_owned(),
        colour: Colour::SkyBlue,
        integer: i64::MIN,
        small: -1,
        truth: true,
        instant: instant("2026-11-20T10:00:00.123456Z"),
        day: "2026-01-02".parse().expect("a day"),
        maybe_instant: Some(instant("2026-11-20T10:00:00Z")),
        maybe_colour: None,
    }
}

#[test]
fn the_columns_are_the_fields_in_order() {
    let columns: Vec<_> = OneOfEach::columns()
        .into_iter()
        .map(|Column { name, kind, nullable, .. }| (name, kind, nullable))
        .collect();
    assert_eq!(
        columns,
        [
            ("id", ColumnKind::Uuid, false),
            ("text", ColumnKind::Text, false),
            ("colour", ColumnKind::Text, false),
            ("integer", ColumnKind::Integer, false),
            ("small", ColumnKind::Integer, false),
            ("truth", ColumnKind::Boolean, false),
            ("instant", ColumnKind::Instant, false),
            ("day", ColumnKind::Date, false),
            ("maybe_instant", ColumnKind::Instant, true),
            ("maybe_colour", ColumnKind::Text, true),
        ]
    );
    assert_eq!(
        (OneOfEach::TABLE, OneOfEach::KEY, OneOfEach::REVISION, OneOfEach::SPANS_STREAMS),
        ("one_of_each", "id", 7, false)
    );
}

#[test]
fn a_view_names_what_it_follows() {
    struct Topics(Vec<&'static str>);
    impl Follows<OneOfEach> for Topics {
        fn events<E: Message>(&mut self) -> &mut Self
        where
            OneOfEach: Project<E>,
        {
            self.0.push(E::family().topic);
            self
        }
    }
    let mut topics = Topics(Vec::new());
    OneOfEach::follows(&mut topics);
    assert_eq!(topics.0, ["customers.events"]);
}

#[test]
fn every_type_has_one_json_form() {
    assert_eq!(
        serde_json::to_value(row()).unwrap(),
        json!({
            "id": "0198c0de-0000-7000-8000-0000000000ab",
            "text": "ü \"quoted\"",
            "colour": "SKY_BLUE",
            "integer": i64::MIN,
            "small": -1,
            "truth": true,
            "instant": "2026-11-20T10:00:00.123456Z",
            "day": "2026-01-02",
            // Six digits, also where they say nothing.
            "maybe_instant": "2026-11-20T10:00:00.000000Z",
            "maybe_colour": null,
        })
    );
}

#[test]
fn a_row_comes_back_from_its_json_and_from_that_of_postgres() {
    let mut json = serde_json::to_value(row()).unwrap();
    assert_eq!(serde_json::from_value::<OneOfEach>(json.clone()).unwrap(), row());
    // As `to_jsonb` writes instants: an offset, and no digits that say nothing.
    json["instant"] = json!("2026-11-20T10:00:00.123456+00:00");
    json["maybe_instant"] = json!("2026-11-20T10:00:00+00:00");
    assert_eq!(serde_json::from_value::<OneOfEach>(json.clone()).unwrap(), row());
    json["instant"] = json!("2026-11-20T12:00:00.123456+02:00");
    assert_eq!(serde_json::from_value::<OneOfEach>(json).unwrap(), row());
}

#[test]
fn what_is_no_row_is_refused_with_what_is_wrong() {
    let refused = |name: &str, value: Option<Value>| {
        let mut json = serde_json::to_value(row()).unwrap();
        match value {
            Some(value) => json[name] = value,
            None => drop(json.as_object_mut().unwrap().remove(name)),
        }
        serde_json::from_value::<OneOfEach>(json).unwrap_err().to_string()
    };
    assert_eq!(refused("maybe_instant", None), "missing field `maybe_instant`");
    assert!(refused("colour", Some(json!("GREEN"))).contains("unknown variant `GREEN`"));
    assert!(refused("small", Some(json!(1_i64 << 40))).contains("expected i32"));
    assert!(refused("instant", Some(json!("yesterday"))).contains("invalid characters"));
    assert!(refused("id", Some(json!(null))).contains("null"));
}

#[test]
fn a_text_enum_is_its_text() {
    assert_eq!(Colour::ALL, [Colour::Red, Colour::SkyBlue]);
    assert_eq!(Colour::SkyBlue.as_str(), "SKY_BLUE");
    assert_eq!(format!("{:>4}", Colour::Red), " RED");
    for colour in Colour::ALL {
        assert_eq!(serde_json::to_value(colour).unwrap(), json!(colour.as_str()));
    }
}

#[test]
fn a_key_has_a_text_form_both_ways_which_is_its_json_form() {
    fn check<K: Key + serde::Serialize>(key: &K, text: &str) {
        assert_eq!(key.to_string(), text);
        assert!(text.parse::<K>().is_ok_and(|it| it == *key));
        assert_eq!(serde_json::to_value(key).unwrap(), json!(text));
    }
    check(&Uuid::from_u128(0xab), "00000000-0000-0000-0000-0000000000ab");
    check(&NaiveDate::from_ymd_opt(2026, 1, 2).unwrap(), "2026-01-02");
    check(&"any text".to_owned(), "any text");
    assert!("no id".parse::<Uuid>().is_err());
    assert!("2026-02-30".parse::<NaiveDate>().is_err());
}
