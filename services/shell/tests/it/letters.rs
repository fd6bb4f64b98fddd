//! What operators do with events that a view could not fold (protocol.md V6).
use crate::{
    fleet::{EVENTS, Random, accepted, customer, envelope, id, id_in, invite, pass, run, until},
    sound::sound,
    toys::{ToyRow, Toys, arm, build, defuse},
};
use customers::Customers;
use functions::View as _;
use shared_events::{Message as _, customers::CustomerInvited};
use shell::{
    Client,
    codec::Registry as _,
    letters::{By, Desk, Kind, LetterError, LetterId, Settled, Wanted},
    memory::Fleet,
    port::log::{Outgoing, Record},
};
use std::time::Duration;
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn ada() -> By {
    By::new("ada@example.com", "the fold is mended").unwrap()
}

/// Letters of views, at most a hundred.
fn parked() -> Wanted {
    Wanted { kind: Some(Kind::Events), limit: 100, ..Wanted::default() }
}

fn named(letter: &str) -> Wanted {
    Wanted { place: Some(letter.parse().unwrap()), ..parked() }
}

async fn names(desk: &Desk) -> Vec<String> {
    let listed = desk.list(None, &parked()).await.unwrap();
    assert_eq!(usize::try_from(listed.total), Ok(listed.letters.len()));
    listed.letters.iter().map(|it| it.id.to_string()).collect()
}

/// The parts of a toy, as shown.
fn parts(fleet: &Fleet, n: u128) -> String {
    let rows = fleet.store.rows("toys", ToyRow::TABLE);
    let row = rows.iter().find(|it| it["id"] == serde_json::json!(id(n)));
    row.map_or_else(String::new, |it| it["parts"].as_str().unwrap().to_owned())
}

async fn built(client: &Client, n: u128, part: &str) {
    client.command(&build(n, part), envelope(client)).await.unwrap();
}

/// A toy whose second part is a bomb that waits with what came after it, and the good toy beside.
async fn bombed(fleet: &Fleet, client: &Client) -> (u128, u128) {
    let (bad, good) = (id_in(0, 0), id_in(0, 1));
    arm();
    for part in ["wheel", "bomb"] {
        built(client, bad, part).await;
    }
    built(client, good, "door").await;
    built(client, bad, "bell").await;
    until("the bad one waits", || fleet.store.parked("toys", ToyRow::TABLE).len() == 2).await;
    (bad, good)
}

#[test]
fn a_parked_stream_is_tried_again_in_order_and_open_from_then_on() {
    run(async |fleet| {
        let _services = (fleet.handler::<Toys>(), fleet.aggregator::<Toys>());
        let client = fleet.client::<Toys>();
        let desk = client.desk(&["toys"]);
        let (bad, good) = bombed(&fleet, &client).await;
        let letters = desk.list(Some("toys"), &parked()).await.unwrap().letters;
        assert_eq!(names(&desk).await, ["toys/toy/0:2", "toys/toy/0:4"]);
        assert_eq!((letters[0].behind, letters[1].behind), (None, Some(2)));
        assert_eq!(letters[1].stream, Some(id(bad)));
        let shown = desk.show(&letters[0].id).await.unwrap();
        assert!(format!("{:?}", shown.body).contains("bomb"), "{:?}", shown.body);

        // Nothing has changed yet: it still waits, and all behind it.
        let settled = desk.retry(None, &parked(), &ada(), PATIENCE).await.unwrap();
        assert_eq!((settled.streams, settled.is_pending), (1, false));
        assert_eq!(settled.waiting.len(), 1);
        assert!(settled.waiting[0].reason.contains("panicked") && !settled.waiting[0].asked);
        assert_eq!((names(&desk).await.len(), parts(&fleet, bad)), (2, "wheel ".to_owned()));

        defuse();
        built(&client, bad, "horn").await;
        built(&client, good, "lamp").await;
        until("others go on", || parts(&fleet, good) == "door lamp ").await;
        assert_eq!(names(&desk).await.len(), 3, "what comes later queues");
        let settled = desk.retry(None, &named("toys/toy/0:4"), &ada(), PATIENCE).await.unwrap();
        assert_eq!(settled, Settled { streams: 1, ..Settled::default() });
        assert_eq!(parts(&fleet, bad), "wheel bomb bell horn ");
        built(&client, bad, "string").await;
        until("it is open", || parts(&fleet, bad) == "wheel bomb bell horn string ").await;
        assert_eq!(names(&desk).await, Vec::<String>::new());

        let operations = desk.operations(None, 10).await.unwrap();
        let told: Vec<_> = operations.iter().map(|it| (&*it.action, &*it.letter)).collect();
        assert_eq!(told, [("retry", "toys/toy/0:4"), ("retry", "toys")]);
        assert!(operations.iter().all(|it| it.by == ada()), "{operations:?}");
        let again = desk.retry(None, &parked(), &ada(), PATIENCE).await;
        assert!(again.is_err_and(|it| it.to_string().contains("no such event waits")));
        assert_eq!(desk.operations(None, 10).await.unwrap().len(), 2, "nothing was done");
    });
}

#[test]
fn of_a_letter_that_is_named_only_the_stream_is_tried() {
    run(async |fleet| {
        let _services = (fleet.handler::<Toys>(), fleet.aggregator::<Toys>());
        let client = fleet.client::<Toys>();
        let desk = client.desk(&["toys"]);
        let (one, other) = (id_in(0, 0), id_in(0, 1));
        built(&client, one, "bomb").await;
        built(&client, other, "bomb").await;
        built(&client, other, "bell").await;
        until("both wait", || fleet.store.parked("toys", ToyRow::TABLE).len() == 3).await;
        defuse();
        let settled = desk.retry(None, &named("toys/toy/0:3"), &ada(), PATIENCE).await.unwrap();
        assert_eq!(settled, Settled { streams: 1, ..Settled::default() });
        assert_eq!(
            (parts(&fleet, one), parts(&fleet, other)),
            (String::new(), "bomb bell ".into())
        );
        assert_eq!(names(&desk).await, ["toys/toy/0:1"]);
    });
}

/// The parts of a toy as they were decided.
fn decided(fleet: &Fleet, n: u128) -> String {
    let events = fleet.store.events("toys").into_iter().filter(|it| it.stream == id(n));
    let schema = |name: &str| {
        let records = crate::toys::ToyEvent::family().records();
        let mut records = records.filter(|it| it.name() == name);
        shared_events::WriterSchema::parse(records.next().unwrap().json()).unwrap()
    };
    let part = |it: shell::port::store::EventRow| {
        let json = schema(&it.record).json_of(&it.data).unwrap();
        format!("{} ", json["part"].as_str().unwrap())
    };
    events.map(part).collect()
}

#[test]
fn a_retry_takes_effect_once_whoever_is_killed_while_traffic_goes_on() {
    for seed in 1..=40 {
        run(async |fleet| {
            let mut random = Random(seed);
            let _handler = fleet.handler::<Toys>();
            let mut aggregator = fleet.aggregator::<Toys>();
            let client = fleet.client::<Toys>();
            let desk = client.desk(&["toys"]);
            let (bad, good) = bombed(&fleet, &client).await;
            // More than one transaction takes.
            for n in 0..50 {
                built(&client, bad, &format!("p{n}")).await;
            }
            until("all wait", || fleet.store.parked("toys", ToyRow::TABLE).len() == 52).await;
            defuse();
            fleet.store.set_slow(seed);
            let (mut round, retried) =
                (0, async { desk.retry(None, &parked(), &ada(), PATIENCE * 3).await.unwrap() });
            let killed = async {
                while round < 6 {
                    round += 1;
                    built(&client, if round % 2 == 0 { bad } else { good }, &format!("t{round}"))
                        .await;
                    pass(Duration::from_millis(random.below(700))).await;
                    for _ in 0..random.below(40) {
                        tokio::task::yield_now().await;
                    }
                    match random.below(3) {
                        0 => fleet.store.set_answers_lost(true),
                        1 => {
                            let next = fleet.aggregator::<Toys>();
                            std::mem::replace(&mut aggregator, next).kill().await;
                        }
                        _ => drop(fleet.aggregator::<Toys>()),
                    }
                    pass(Duration::from_millis(random.below(50))).await;
                    fleet.store.set_answers_lost(false);
                }
            };
            let (settled, ()) = futures_join(retried, killed).await;
            assert!(!settled.is_pending && settled.waiting.is_empty(), "{settled:?}");
            for n in [bad, good] {
                until("all is shown", || parts(&fleet, n).len() >= decided(&fleet, n).len()).await;
                assert_eq!(parts(&fleet, n), decided(&fleet, n), "seed {seed}");
            }
            assert_eq!(fleet.store.parked("toys", ToyRow::TABLE), []);
        });
    }
}

async fn futures_join<A, B>(a: impl Future<Output = A>, b: impl Future<Output = B>) -> (A, B) {
    tokio::join!(a, b)
}

#[test]
fn a_discarded_event_is_passed_over_by_this_generation_and_by_every_other() {
    run(async |fleet| {
        let nothing = fleet.store.copy_views("toys");
        let (_handler, aggregator) = (fleet.handler::<Toys>(), fleet.aggregator::<Toys>());
        let client = fleet.client::<Toys>();
        let desk = client.desk(&["toys"]);
        let (bad, good) = bombed(&fleet, &client).await;
        let id = |text: &str| text.parse::<LetterId>().unwrap();
        let refused = async |letter: &str, reason: &str, says: &str| {
            let by = By::new("ada", reason).unwrap();
            let error = desk.discard(&id(letter), &by, PATIENCE).await.unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        };
        refused("toys/toy/0:2", " ", "needs a reason").await;
        refused("toys/toy/0:4", "a whim", "only waits behind toys/toy/0:2").await;
        refused("toys/toy/0:3", "a whim", "no dead letter toys/toy/0:3").await;
        let by = By::new("ada", "it was never meant to go off").unwrap();
        let settled = desk.discard(&id("toys/toy/0:2"), &by, PATIENCE).await.unwrap();
        assert_eq!(settled, Settled { streams: 1, ..Settled::default() });
        assert_eq!(parts(&fleet, bad), "wheel bell ");
        refused("toys/toy/0:2", "again", "no dead letter").await;

        // Also where it could be folded by now.
        defuse();
        aggregator.kill().await;
        fleet.store.put_back_views("toys", nothing);
        let _aggregator = fleet.aggregator::<Toys>();
        built(&client, bad, "horn").await;
        until("all is shown again", || parts(&fleet, bad).ends_with("horn ")).await;
        assert_eq!(
            (parts(&fleet, bad), parts(&fleet, good)),
            ("wheel bell horn ".to_owned(), "door ".to_owned())
        );
        let operations = desk.operations(Some("toys"), 10).await.unwrap();
        assert_eq!(
            (operations.len(), &*operations[0].action, &operations[0].by),
            (1, "discard", &by)
        );
        assert!(decided(&fleet, bad).contains("bomb"), "the event itself stays");
    });
}

#[test]
fn who_does_not_know_of_a_discard_yet_writes_nothing() {
    run(async |fleet| {
        let _services = (fleet.handler::<Toys>(), fleet.aggregator::<Toys>());
        let client = fleet.client::<Toys>();
        let desk = client.desk(&["toys"]);
        let (bad, _) = bombed(&fleet, &client).await;
        let epoch = || {
            let services = fleet.status.services();
            services["toys-aggregator/toy"].parts[&("toys.events".to_owned(), 0)].epoch
        };
        let before = epoch();
        defuse();
        // Asked first, and discarded before the loop comes to it: it would be folded.
        let (all, letter) = (parked(), "toys/toy/0:2".parse().unwrap());
        let (ada, bob) = (ada(), By::new("bob", "").unwrap());
        let (retried, discarded) = tokio::join!(
            desk.retry(None, &all, &bob, PATIENCE),
            desk.discard(&letter, &ada, PATIENCE),
        );
        assert!(retried.is_ok() && discarded.is_ok(), "{retried:?} {discarded:?}");
        assert_eq!(parts(&fleet, bad), "wheel bell ");
        until("the loop has begun anew", || epoch() > before).await;
    });
}

#[test]
fn what_no_store_can_hold_is_found_among_what_is_tried_again() {
    run(async |fleet| {
        let _services = (fleet.handler::<Toys>(), fleet.aggregator::<Toys>());
        let client = fleet.client::<Toys>();
        let desk = client.desk(&["toys"]);
        let (bad, other) = (id_in(0, 0), id_in(1, 0));
        for (n, parts) in
            [(bad, ["bomb", "bell", "nothing", "horn"]), (other, ["bomb", "a", "b", "c"])]
        {
            for part in parts {
                built(&client, n, part).await;
            }
        }
        until("both wait", || fleet.store.parked("toys", ToyRow::TABLE).len() == 8).await;
        defuse();
        let settled = desk.retry(None, &parked(), &ada(), PATIENCE).await.unwrap();
        assert_eq!((settled.streams, settled.waiting.len()), (2, 1), "{settled:?}");
        assert!(settled.waiting[0].reason.contains("U+0000"), "{settled:?}");
        assert_eq!(parts(&fleet, other), "bomb a b c ");
        assert_eq!(parts(&fleet, bad), "bomb bell ");
        assert_eq!(names(&desk).await, ["toys/toy/0:3", "toys/toy/0:4"]);
        desk.discard(&"toys/toy/0:3".parse().unwrap(), &ada(), PATIENCE).await.unwrap();
        assert_eq!(parts(&fleet, bad), "bomb bell horn ");
    });
}

#[test]
fn an_event_waits_for_a_schema_that_the_registry_learns_later() {
    run(async |fleet| {
        let handler = fleet.handler::<Customers>();
        let client = fleet.client::<Customers>();
        let desk = client.desk(&["customers"]);
        let answer = accepted(&client, invite(1, "ada@example.com")).await;
        handler.stop().await;
        // Written by somebody whose registry has another number for the schema.
        let records = (0..3).flat_map(|part| fleet.log.records(EVENTS, part));
        let records: Vec<Record> = records.collect();
        fleet.log.recreate(EVENTS);
        for Record { topic, part, key, headers, payload, .. } in records {
            let mut payload = payload.unwrap();
            payload[1..5].copy_from_slice(&1_000_u32.to_be_bytes());
            fleet.log.append(Outgoing { topic, part, key: key.unwrap(), headers, payload });
        }
        let _aggregator = fleet.aggregator::<Customers>();
        until("it waits in both views", || {
            ["customer", "invitations_per_day"]
                .iter()
                .all(|it| fleet.store.parked("customers", it).len() == 1)
        })
        .await;
        let settled = desk.retry(None, &parked(), &ada(), PATIENCE).await.unwrap();
        assert_eq!(settled.waiting.len(), 2);
        assert!(settled.waiting[0].reason.contains("no schema has the id 1000"), "{settled:?}");
        // Each text that is not known yet has the next number.
        let mut number = 0;
        while number < 1_000 {
            let text = CustomerInvited::schema().json();
            let text = text.replacen("\"doc\": \"", &format!("\"doc\": \"{number} "), 1);
            number = fleet.registry.register("s", &text).await.unwrap();
        }
        let settled = desk.retry(None, &parked(), &ada(), PATIENCE).await.unwrap();
        assert_eq!((settled.streams, settled.waiting.len()), (2, 0), "{settled:?}");
        assert_eq!(customer(&client, 1, &answer.position).await.unwrap().email, "ada@example.com");
        sound(&fleet).await;
    });
}

#[test]
fn rubbish_is_refused_and_changes_nothing() {
    run(async |fleet| {
        let _services = (fleet.handler::<Toys>(), fleet.aggregator::<Toys>());
        let client = fleet.client::<Toys>();
        let desk = client.desk(&["toys"]);
        bombed(&fleet, &client).await;
        for (actor, reason, argument) in [
            ("", "why", "actor"),
            ("\0", "why", "actor"),
            ("ada", "be\0cause", "reason"),
            (&*"x".repeat(201), "why", "actor"),
            ("ada", &"x".repeat(1001), "reason"),
        ] {
            let error = By::new(actor, reason).unwrap_err();
            assert!(matches!(error, LetterError::Invalid { argument: it, .. } if it == argument));
        }
        let elsewhere = Wanted { kind: Some(Kind::View("toy\0' or true".into())), ..parked() };
        assert_eq!(desk.list(None, &elsewhere).await.unwrap().letters, []);
        assert!(
            desk.list(Some("toys\0"), &parked())
                .await
                .is_err_and(|it| it.to_string().contains("no context"))
        );
        let nowhere = Wanted { stream: Some(Uuid::nil()), ..parked() };
        assert!(desk.retry(None, &nowhere, &ada(), PATIENCE).await.is_err());
        for letter in [
            "toys/toy/2147483647:9223372036854775807",
            "toys/toy/1:2",
            "toys/toy/others.events/0:2",
        ] {
            assert!(desk.retry(None, &named(letter), &ada(), PATIENCE).await.is_err(), "{letter}");
            assert!(desk.discard(&letter.parse().unwrap(), &ada(), PATIENCE).await.is_err());
            assert!(desk.show(&letter.parse().unwrap()).await.is_err(), "{letter}");
        }
        let command = desk.retry(None, &named("toys/commands/0:1"), &ada(), PATIENCE).await;
        assert!(command.is_err_and(|it| it.to_string().contains("resubmit")));
        assert_eq!(names(&desk).await.len(), 2);
        assert_eq!(desk.operations(None, 10).await.unwrap(), []);
    });
}
