//! Messages as people see and edit them.
use crate::toy::{Place, ToyEvent, ToyNamed, ToySold, then};
use chrono::DateTime;
use serde_json::{Value, json};
use shared_events::{JsonError, Message, Money, WriterSchema};
use uuid::Uuid;

const SOLD: &str = "flotilla.toys.ToySold";

fn sold() -> ToyEvent {
    let money = |amount_minor| Money { amount_minor, currency: "EUR".to_owned() };
    let (toy_id, price, postage) = (Uuid::from_u128(7), money(-5), 3);
    let (place, tips, sold_at) = (Place::Post, vec![money(1)], DateTime::from_timestamp_micros(9));
    ToySold { toy_id, price, place, postage, tips, sold_at }.into()
}

fn as_json() -> Value {
    json!({
        "toy_id": Uuid::from_u128(7), "price": { "amount_minor": -5, "currency": "EUR" }, "place": "POST",
        "postage": 3, "tips": [{ "amount_minor": 1, "currency": "EUR" }], "sold_at": 9,
    })
}

fn datum(event: &impl Message) -> (WriterSchema, Vec<u8>) {
    let mut datum = Vec::new();
    event.encode(&mut datum).expect("encodes");
    (WriterSchema::parse(event.record().json()).expect("a schema"), datum)
}

#[test]
fn a_message_becomes_json_and_comes_back() {
    assert_eq!(sold().json(), as_json());
    assert_eq!(ToyEvent::from_json(SOLD, &as_json()), Ok(sold()));
    let named = ToyNamed { toy_id: Uuid::nil(), name: "Ada \"A\" ☕".to_owned() };
    let named = ToyEvent::from(named);
    assert_eq!(ToyEvent::from_json("flotilla.toys.ToyNamed", &named.json()), Ok(named));
}

#[test]
fn a_datum_becomes_json_by_its_schema_alone() {
    let (schema, bytes) = datum(&sold());
    assert_eq!(schema.json_of(&bytes), Ok(as_json()));
    // Also a record that this build does not write any more.
    let old = then::ToyEvent::from(then::ToySeen { toy_id: Uuid::nil() });
    let (schema, mut bytes) = datum(&old);
    assert_eq!(schema.json_of(&bytes), Ok(json!({ "toy_id": Uuid::nil() })));
    bytes.push(0);
    assert!(schema.json_of(&bytes).is_err(), "a byte too many");
    assert!(schema.json_of(&bytes[..9]).is_err(), "too few");
}

#[test]
fn what_is_absent_has_its_default_and_what_is_wrong_is_named() {
    let change = |name: &str, value: Option<Value>| {
        let mut json = as_json();
        let fields = json.as_object_mut().expect("an object");
        match value {
            Some(value) => drop(fields.insert(name.to_owned(), value)),
            None => drop(fields.remove(name)),
        }
        ToyEvent::from_json(SOLD, &json)
    };
    for name in ["place", "postage", "tips", "sold_at"] {
        assert!(change(name, None).is_ok(), "{name}");
    }
    let malformed = |result: Result<ToyEvent, JsonError>, says: &str| {
        let error = result.expect_err(says).to_string();
        assert!(error.contains(says), "{error}");
    };
    malformed(change("price", None), "missing field `price`");
    malformed(change("postage", Some(json!("3"))), "string \"3\"");
    malformed(change("toy_id", Some(json!("x"))), "no id of 36 characters");
    malformed(change("place", Some(json!("MOON"))), "unknown word");
    malformed(change("pirce", Some(json!(1))), "no field \"pirce\"");
    let tip = json!([{ "amount_minor": 1, "currency": "EUR", "currancy": "EUR" }]);
    malformed(change("tips", Some(tip)), "no field \"tips.currancy\"");
    for wrong in [Value::Null, json!([]), json!("x"), json!(7)] {
        assert!(ToyEvent::from_json(SOLD, &wrong).is_err(), "{wrong}");
    }
    let unknown = ToyEvent::from_json("flotilla.toys.ToySeen", &as_json());
    malformed(unknown, "there are flotilla.toys.ToyNamed, flotilla.toys.ToySold");
}
