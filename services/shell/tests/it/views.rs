//! What a view makes of the records it reads, whatever they are (protocol.md V4, V6, W13).
use crate::{
    fleet::{EVENTS, accepted, customer, envelope, id, id_in, invite, pass, record_of, run, until},
    sound::{published, sound},
    toys::{ToyEvent, ToyRow, Toys, build},
};
use customers::Customers;
use functions::View as _;
use shared_events::{
    customers::VerifyCustomer,
    headers::{EventHeaders, names},
};
use shell::{
    Client,
    memory::Fleet,
    port::log::{Outgoing, Record},
};
use std::time::Duration;

fn again(record: Record) -> Outgoing {
    let Record { topic, part, key, headers, payload, .. } = record;
    Outgoing { topic, part, key: key.unwrap(), headers, payload: payload.unwrap() }
}

fn copies(fleet: &Fleet, topic: &str) -> Vec<Outgoing> {
    (0..3).flat_map(|part| fleet.log.records(topic, part)).map(again).collect()
}

/// Some customers, all shown.
async fn some_history(fleet: &Fleet, client: &Client) {
    for n in 1..=12 {
        accepted(client, invite(n, &format!("{n}@example.com"))).await;
    }
    for n in 1..=6 {
        accepted(client, VerifyCustomer { customer_id: id(n) }).await;
    }
    sound(fleet).await;
}

#[test]
fn events_delivered_twice_change_nothing() {
    run(async |fleet| {
        let _services = (fleet.handler::<Customers>(), fleet.aggregator::<Customers>());
        let client = fleet.client::<Customers>();
        some_history(&fleet, &client).await;
        let before = fleet.store.rows("customers", "invitations_per_day");
        // Each of them, then all from the start, twice.
        let events = copies(&fleet, EVENTS);
        for it in &events {
            fleet.log.append(it.clone());
            fleet.log.append(it.clone());
        }
        for it in events.iter().chain(&events) {
            fleet.log.append(it.clone());
        }
        let answer = accepted(&client, VerifyCustomer { customer_id: id(7) }).await;
        assert!(customer(&client, 7, &answer.position).await.unwrap().verified_at.is_some());
        sound(&fleet).await;
        assert_eq!(before[0]["invited"], 12);
    });
}

#[test]
fn an_aggregator_that_begins_from_the_start_again_changes_nothing() {
    run(async |fleet| {
        let _handler = fleet.handler::<Customers>();
        let aggregator = fleet.aggregator::<Customers>();
        let client = fleet.client::<Customers>();
        some_history(&fleet, &client).await;
        // Killed before the group knows how far it was: the next reads everything again.
        aggregator.kill().await;
        let _aggregators = (fleet.aggregator::<Customers>(), fleet.aggregator::<Customers>());
        accepted(&client, VerifyCustomer { customer_id: id(8) }).await;
        sound(&fleet).await;
    });
}

/// A log whose partitions hold these of the events that were, in this order.
fn rewrite(fleet: &Fleet, keep: impl Fn(i64) -> bool, then: impl Fn(i64) -> bool) {
    let events = copies(fleet, EVENTS);
    let pseq = |it: &Outgoing| EventHeaders::read(&it.headers).unwrap().pseq;
    fleet.log.recreate(EVENTS);
    for it in events.iter().filter(|it| keep(pseq(it))) {
        fleet.log.append(it.clone());
    }
    for it in events.iter().filter(|it| then(pseq(it))) {
        fleet.log.append(it.clone());
    }
}

#[test]
fn an_event_that_comes_late_is_waited_for_without_asking() {
    run(async |fleet| {
        let handler = fleet.handler::<Customers>();
        let client = fleet.client::<Customers>();
        for n in 1..=12 {
            accepted(&client, invite(n, &format!("{n}@example.com"))).await;
        }
        handler.stop().await;
        // The second of each partition comes after the rest.
        rewrite(&fleet, |pseq| pseq != 2, |pseq| pseq == 2);
        let _aggregator = fleet.aggregator::<Customers>();
        sound(&fleet).await;
        let commands: usize =
            (0..3).map(|part| fleet.log.records("customers.commands", part).len()).sum();
        assert_eq!(commands, 12, "nobody was asked");
    });
}

#[test]
fn an_event_that_is_nowhere_is_asked_for() {
    run(async |fleet| {
        let handler = fleet.handler::<Customers>();
        let client = fleet.client::<Customers>();
        for n in 1..=30 {
            accepted(&client, invite(n, &format!("{n}@example.com"))).await;
        }
        handler.stop().await;
        let count = published(&fleet).len();
        // As long as it was, so that the handler does not notice by itself.
        rewrite(&fleet, |pseq| !(3..=4).contains(&pseq), |pseq| pseq < 3);
        let _aggregator = fleet.aggregator::<Customers>();
        pass(Duration::from_secs(1)).await;
        assert!(published(&fleet).len() < count);
        let _handler = fleet.handler::<Customers>();
        sound(&fleet).await;
    });
}

#[test]
fn a_gap_is_filled_while_new_events_come() {
    run(async |fleet| {
        let _services = (fleet.handler::<Customers>(), fleet.aggregator::<Customers>());
        let client = fleet.client::<Customers>();
        for n in 1..=10 {
            accepted(&client, invite(n, &format!("{n}@example.com"))).await;
        }
        sound(&fleet).await;
        // Some are taken by the broker and never appended; the handler has no word of it.
        fleet.log.set_swallowed(EVENTS, true);
        for n in 11..=14 {
            accepted(&client, invite(n, &format!("{n}@example.com"))).await;
        }
        fleet.log.set_swallowed(EVENTS, false);
        for n in 15..=60 {
            accepted(&client, invite(n, &format!("{n}@example.com"))).await;
        }
        sound(&fleet).await;
    });
}

#[test]
pub(crate) fn a_foreign_record_without_an_envelope_is_passed_over() {
    run(async |fleet| {
        let _services = (fleet.handler::<Customers>(), fleet.aggregator::<Customers>());
        let client = fleet.client::<Customers>();
        for part in 0..3 {
            for payload in [vec![], vec![1, 2, 3], vec![0, 0, 0, 0, 9, 1]] {
                let (topic, key) = (EVENTS.into(), b"foreign".to_vec());
                fleet.log.append(Outgoing { topic, part, key, headers: Vec::new(), payload });
            }
        }
        some_history(&fleet, &client).await;
        assert_eq!(fleet.store.parked("customers", "customer"), []);
        until("all is ready", || fleet.status.not_ready().is_empty()).await;
    });
}

#[test]
fn an_event_of_another_incarnation_stops_its_partition_and_says_why() {
    run(async |fleet| {
        let _services = (fleet.handler::<Customers>(), fleet.aggregator::<Customers>());
        let client = fleet.client::<Customers>();
        let (here, there) = (id_in(0, 0), id_in(1, 0));
        accepted(&client, invite(here, "ada@example.com")).await;
        sound(&fleet).await;
        let mut foreign = again(fleet.log.records(EVENTS, 0)[0].clone());
        let set = |record: &mut Outgoing, name: &str, value: &str| {
            record.headers.iter_mut().find(|it| it.0 == name).unwrap().1 = value.into();
        };
        set(&mut foreign, names::INCARNATION, "2");
        set(&mut foreign, names::PSEQ, "2");
        set(&mut foreign, names::VERSION, "2");
        fleet.log.append(foreign);
        until("it says so", || {
            let services = fleet.status.services();
            let stuck = &services["customers-aggregator/customer"].stuck;
            stuck.get(&(EVENTS.to_owned(), 0)).is_some_and(|it| it.contains("incarnation 2"))
        })
        .await;
        assert!(fleet.status.not_ready().contains_key("customers-aggregator/customer"));
        // The others go on.
        let answer = accepted(&client, invite(there, "eve@example.com")).await;
        assert!(customer(&client, there, &answer.position).await.is_some());
        let rows = fleet.store.rows("customers", "customer");
        assert!(rows.iter().all(|it| it["version"] == 1), "{rows:?}");
    });
}

/// The parts of each toy, as shown.
fn toys(fleet: &Fleet) -> Vec<String> {
    let rows = fleet.store.rows("toys", ToyRow::TABLE);
    rows.into_iter().map(|it| it["parts"].as_str().unwrap().to_owned()).collect()
}

fn waiting(fleet: &Fleet) -> Vec<(u128, i64)> {
    let parked = fleet.store.parked("toys", ToyRow::TABLE);
    parked.into_iter().map(|it| (it.stream.as_u128(), it.pseq)).collect()
}

#[test]
fn an_event_whose_fold_panics_parks_its_stream_and_no_other() {
    for bomb in ["bomb", "ghost"] {
        run(async |fleet| {
            let _handler = fleet.handler::<Toys>();
            let aggregator = fleet.aggregator::<Toys>();
            let client = fleet.client::<Toys>();
            let build =
                async |n, part: &str| client.command(&build(n, part), envelope(&client)).await;
            // Two streams of one partition.
            let (bad, good) = (id_in(0, 0), id_in(0, 1));
            build(bad, "wheel").await.unwrap();
            build(bad, bomb).await.unwrap();
            build(good, "door").await.unwrap();
            build(bad, "bell").await.unwrap();
            until("the good one is shown", || toys(&fleet) == ["wheel ", "door "]).await;
            until("the bad one waits", || waiting(&fleet) == [(bad, 2), (bad, 4)]).await;
            let parked = fleet.store.parked("toys", ToyRow::TABLE);
            assert!(parked[0].reason.contains("panicked"), "{parked:?}");
            assert!(parked.iter().all(|it| it.payload.is_some() && !it.headers.is_empty()));
            // Also after a restart.
            aggregator.kill().await;
            let _aggregator = fleet.aggregator::<Toys>();
            build(bad, "horn").await.unwrap();
            build(good, "lamp").await.unwrap();
            until("the good one goes on", || toys(&fleet) == ["wheel ", "door lamp "]).await;
            until("the bad one still waits", || waiting(&fleet) == [(bad, 2), (bad, 4), (bad, 5)])
                .await;
        });
    }
}

#[test]
fn a_panic_in_the_middle_of_one_batch_leaves_the_rows_of_the_others() {
    run(async |fleet| {
        let handler = fleet.handler::<Toys>();
        let client = fleet.client::<Toys>();
        let (bad, good) = (id_in(0, 0), id_in(0, 1));
        for (n, part) in
            [(bad, "a"), (good, "b"), (bad, "bomb"), (good, "c"), (bad, "d"), (good, "e")]
        {
            client.command(&build(n, part), envelope(&client)).await.unwrap();
        }
        handler.stop().await;
        let _aggregator = fleet.aggregator::<Toys>();
        until("both are shown", || toys(&fleet) == ["a ", "b c e "]).await;
        assert_eq!(waiting(&fleet), [(bad, 3), (bad, 5)]);
    });
}

#[test]
fn an_event_whose_row_cannot_be_stored_parks_its_stream() {
    run(async |fleet| {
        let _services = (fleet.handler::<Toys>(), fleet.aggregator::<Toys>());
        let client = fleet.client::<Toys>();
        let (bad, good) = (id_in(0, 0), id_in(0, 1));
        for (n, part) in [(bad, "a"), (bad, "nothing"), (good, "b"), (bad, "c"), (good, "d")] {
            client.command(&build(n, part), envelope(&client)).await.unwrap();
        }
        until("both are shown", || toys(&fleet) == ["a ", "b d "]).await;
        until("one waits", || waiting(&fleet) == [(bad, 2), (bad, 4)]).await;
    });
}

#[test]
pub(crate) fn an_event_that_cannot_be_read_parks_its_stream() {
    run(async |fleet| {
        let handler = fleet.handler::<Toys>();
        let client = fleet.client::<Toys>();
        let (bad, good) = (id_in(0, 0), id_in(0, 1));
        for (n, part) in [(bad, "a"), (good, "b"), (good, "c")] {
            client.command(&build(n, part), envelope(&client)).await.unwrap();
        }
        handler.stop().await;
        let events = copies(&fleet, "toys.events");
        fleet.log.recreate("toys.events");
        for mut it in events {
            if it.key == id(bad).to_string().into_bytes() {
                it.payload.truncate(9);
            }
            fleet.log.append(it);
        }
        let _aggregator = fleet.aggregator::<Toys>();
        until("the good one is shown", || toys(&fleet) == ["b c "]).await;
        assert_eq!(waiting(&fleet), [(bad, 1)]);
    });
}

#[test]
fn a_command_on_the_topic_of_events_is_passed_over() {
    run(async |fleet| {
        let _services = (fleet.handler::<Toys>(), fleet.aggregator::<Toys>());
        let client = fleet.client::<Toys>();
        let mut record = record_of(&fleet, &build(1, "wheel"), id(1)).await;
        record.topic = "toys.events".into();
        fleet.log.append(record);
        client.command(&build(1, "door"), envelope(&client)).await.unwrap();
        until("the door is shown", || toys(&fleet) == ["door "]).await;
        let _: Option<ToyEvent> = None;
    });
}

#[test]
fn an_aggregator_without_its_registry_or_store_goes_on_when_they_are_back() {
    run(async |fleet| {
        let _handler = fleet.handler::<Customers>();
        let client = fleet.client::<Customers>();
        accepted(&client, invite(1, "ada@example.com")).await;
        fleet.registry.set_away(true);
        let _aggregator = fleet.aggregator::<Customers>();
        pass(Duration::from_secs(5)).await;
        assert_eq!(fleet.store.rows("customers", "customer"), Vec::<serde_json::Value>::new());
        fleet.registry.set_away(false);
        sound(&fleet).await;
        fleet.store.set_away(true);
        pass(Duration::from_secs(5)).await;
        fleet.store.set_away(false);
        accepted(&client, invite(2, "eve@example.com")).await;
        sound(&fleet).await;
    });
}

#[test]
fn a_frozen_aggregator_shows_nothing_twice() {
    for seed in 1..15 {
        run(async |fleet| {
            fleet.store.set_slow(seed);
            let _handler = fleet.handler::<Customers>();
            let _zombie = fleet.aggregator::<Customers>();
            let client = fleet.client::<Customers>();
            accepted(&client, invite(1, "ada@example.com")).await;
            sound(&fleet).await;
            let groups: Vec<String> = shell::view::views_of::<Customers>()
                .iter()
                .map(|it| format!("customers.{}.{}.1", it.table, it.hash))
                .collect();
            for it in &groups {
                fleet.log.freeze(it);
            }
            let _next = fleet.aggregator::<Customers>();
            for n in 2..40 {
                accepted(&client, invite(n, &format!("{n}@example.com"))).await;
            }
            for it in &groups {
                fleet.log.thaw(it);
            }
            for n in 2..40 {
                accepted(&client, VerifyCustomer { customer_id: id(n) }).await;
            }
            sound(&fleet).await;
        });
    }
}
