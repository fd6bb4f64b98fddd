//! Events elsewhere: replayed, backed up and restored, published again.
#![expect(clippy::unwrap_used, reason = "only tests call this")]
use crate::{
    auditing::{at_rest, customers, differences, flotilla},
    fleet::Fleet,
    server::until_some,
    servers::{Folder, create_topic, delete_records, delete_topic, has_topic},
    topics::{self, PARTITIONS, goes_on},
};
use serde_json::{Value, json};
use shared_events::headers::EventHeaders;
use shell::{ids, port::log::Record};
use std::{fs, path::Path};

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|it| serde_json::from_str(it).unwrap()).collect()
}

#[tokio::test]
async fn events_are_replayed_into_files_and_topics() {
    let fleet = Fleet::new().await;
    let server = fleet.whole().await;
    customers(&fleet, &server, 16).await;
    let folder = Folder::new("replay");
    fs::create_dir_all(&folder.0).unwrap();
    let file = |name: &str| folder.0.join(name).display().to_string();
    let all = file("all.ndjson");
    let (code, said, told) = flotilla(&fleet, &["replay", "customers", "--to", &all]);
    assert_eq!(code, Some(0), "{told}");
    let count = fleet.sql("select count(*) from write.event");
    assert!(said.contains(&format!("{count} events")), "{said}");
    let events = lines(Path::new(&all));
    let places =
        events.iter().map(|it| json!([it["partition"], it["pseq"], it["stream"], it["type"]]));
    let stored = fleet.json("select json_agg(json_build_array(part, pseq, stream, type) order by part, pseq) from write.event");
    assert_eq!(Value::Array(places.collect()), stored);
    for it in &events {
        assert_eq!(it["data"]["customer_id"], it["stream"], "{it}");
        assert!(it["causation"].is_string() && it["time"].is_string(), "{it}");
    }
    // Only some of them.
    let some = file("some.ndjson");
    let (code, _, told) = flotilla(
        &fleet,
        &[
            "replay",
            "customers",
            "--to",
            &some,
            "--from",
            "2",
            "--until",
            "5",
            "--types",
            "CustomerInvited",
        ],
    );
    assert_eq!(code, Some(0), "{told}");
    let is_wanted = |it: &&Value| {
        (2..=5).contains(&it["pseq"].as_i64().unwrap())
            && it["type"] == "flotilla.customers.CustomerInvited"
    };
    let wanted: Vec<Value> = events.iter().filter(is_wanted).cloned().collect();
    assert!(!wanted.is_empty());
    assert_eq!(lines(Path::new(&some)), wanted);
    let later = file("later.ndjson");
    assert_eq!(
        flotilla(&fleet, &["replay", "customers", "--to", &later, "--from", "2100-01-01"]).0,
        Some(0)
    );
    assert_eq!(lines(Path::new(&later)), Vec::<Value>::new());
    // A topic: the records are those of the fleet's own.
    let topic = format!("copy-{}", ids::new_id());
    let (code, _, told) = flotilla(&fleet, &["replay", "customers", "--to", &topic]);
    assert_eq!(code, Some(0), "{told}");
    let own = fleet.names().events("customers");
    let plain = |it: Record| (it.part, it.key, it.headers, it.payload);
    let copies: Vec<_> = topics::records(&fleet, &topic).await.into_iter().map(plain).collect();
    let originals: Vec<_> = topics::records(&fleet, &own).await.into_iter().map(plain).collect();
    assert_eq!(copies, originals);
    // What must not be.
    for (to, types, words) in [
        (own.as_ref(), "CustomerInvited", "a topic of the fleet itself"),
        (&fleet.names().commands("customers"), "CustomerInvited", "a topic of the fleet itself"),
        (&fleet.names().replies(), "CustomerInvited", "a topic of the fleet itself"),
        (&topic, "CustomerInvited", "name a new one"),
        (&all, "CustomerInvited", "exists"),
        ("no name", "CustomerInvited", "no name of a topic"),
        ("other", "CustomerInvted", "there are flotilla.customers.CustomerInvited"),
    ] {
        let (code, _, told) =
            flotilla(&fleet, &["replay", "customers", "--to", to, "--types", types]);
        assert_eq!(code, Some(1), "{to}: {told}");
        assert!(told.contains(words), "{words}: {told}");
    }
    assert_eq!(topics::records(&fleet, &own).await.len(), originals.len());
    assert!(!has_topic(&fleet.addresses, "other"));
    let folder_has = fs::read_dir(&folder.0).unwrap().count();
    assert_eq!(folder_has, 3, "nothing unfinished is left");
}

#[tokio::test]
async fn a_backup_of_a_running_fleet_becomes_another_fleet() {
    let fleet = Fleet::new().await;
    let server = fleet.whole().await;
    customers(&fleet, &server, 16).await;
    let command = ids::new_id();
    let input = json!({ "email": "again@example.com", "commandId": command });
    let first = server.mutate("inviteCustomer", input.clone()).await;
    let id = first.body["data"]["inviteCustomer"]["customer"]["id"].clone();
    assert!(id.is_string(), "{}", first.body);
    let folder = Folder::new("backup");
    let path = folder.0.display().to_string();
    // Mutations go on while it is made.
    let stop = tokio_util::sync::CancellationToken::new();
    let traffic = async {
        let mut count = 0;
        while !stop.is_cancelled() {
            server.invite(&format!("busy{count}@example.com")).await;
            count += 1;
        }
    };
    let made = async {
        let (fleet_options, path) = (fleet.options(), path.clone());
        let made = tokio::task::spawn_blocking(move || {
            let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_flotilla"));
            command.args(["backup", "customers", &path]).args(fleet_options).output().unwrap()
        });
        let made = made.await.unwrap();
        stop.cancel();
        made
    };
    let ((), made) = futures::join!(traffic, made);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let manifest: Value =
        serde_json::from_str(&fs::read_to_string(folder.0.join("manifest.json")).unwrap()).unwrap();
    let rows = |table: &str| {
        let all = manifest["tables"].as_array().unwrap();
        all.iter().find(|it| it["name"] == table).unwrap()["rows"].as_i64().unwrap()
    };
    let numbers: i64 =
        manifest["ledger"].as_array().unwrap().iter().map(|it| it["pseq"].as_i64().unwrap()).sum();
    assert_eq!(rows("write.event"), numbers, "of one instant");
    let (code, _, told) = flotilla(&fleet, &["backup", "customers", &path]);
    assert_eq!((code, told.contains("is not empty")), (Some(1), true), "{told}");

    // Into a fleet whose services run already.
    let other = Fleet::new().await;
    let restored = other.whole().await;
    let (code, said, told) = flotilla(&other, &["restore", "customers", &path]);
    assert_eq!(code, Some(0), "{told}");
    assert!(said.contains(&format!("{numbers} events")), "{said}");
    let shown = format!("select sum(pseq) >= 2 * {numbers} from read.checkpoint");
    other.until_sql(&shown, "t").await;
    at_rest(&other).await;
    assert_eq!(differences(&other).await, []);
    assert_eq!(other.sql("select count(*) from write.event"), numbers.to_string());
    assert_eq!(
        other.sql("select count(distinct incarnation) from write.ledger where incarnation > 1"),
        "1"
    );
    // It goes on, and what was decided before is answered as it was: with a position that can be waited for.
    let again = restored.mutate("inviteCustomer", input).await;
    assert_eq!(again.body["data"]["inviteCustomer"]["customer"]["id"], id, "{}", again.body);
    let position = again.header("flotilla-position").unwrap().to_owned();
    let read = crate::server::answer(
        restored.ask_after(&position, "{ customers(first: 1) { totalCount } }"),
    )
    .await;
    assert_eq!(read.body.get("errors"), None, "{}", read.body);
    goes_on(&restored, "restored").await;
    // A position of the life before is not.
    let old = first.header("flotilla-position").unwrap().to_owned();
    let read =
        crate::server::answer(restored.ask_after(&old, "{ customers(first: 1) { totalCount } }"))
            .await;
    assert_eq!(read.code(), "FAILED", "{}", read.body);
    let (code, _, told) = flotilla(&other, &["restore", "customers", &path]);
    assert_eq!(
        (code, told.contains("records: restore into a Kafka without")),
        (Some(1), true),
        "{told}"
    );
    at_rest(&other).await;
    assert_eq!(differences(&other).await, []);
}

#[tokio::test]
async fn a_complete_backup_keeps_positions() {
    let fleet = Fleet::new().await;
    let server = fleet.whole().await;
    customers(&fleet, &server, 4).await;
    let position = goes_on(&server, "before").await.to_string();
    drop(server);
    let folder = Folder::new("complete");
    let path = folder.0.display().to_string();
    assert_eq!(flotilla(&fleet, &["backup", "customers", &path]).0, Some(0));
    let other = Fleet::new().await;
    let (code, _, told) = flotilla(&other, &["restore", "customers", &path, "--complete"]);
    assert_eq!(code, Some(0), "{told}");
    let restored = other.whole().await;
    let read = crate::server::answer(
        restored.ask_after(&position, "{ customers(first: 1) { totalCount } }"),
    )
    .await;
    assert_eq!(read.body.get("errors"), None, "{}", read.body);
}

#[tokio::test]
async fn what_is_no_whole_backup_changes_nothing() {
    let fleet = Fleet::new().await;
    let server = fleet.whole().await;
    customers(&fleet, &server, 8).await;
    let folder = Folder::new("damaged");
    let path = folder.0.display().to_string();
    assert_eq!(flotilla(&fleet, &["backup", "customers", &path]).0, Some(0));
    let other = Fleet::new().await;
    let events = folder.0.join("write.event.copy");
    let manifest = folder.0.join("manifest.json");
    let (whole, text) = (fs::read(&events).unwrap(), fs::read_to_string(&manifest).unwrap());
    let refused = |words: &str, fleet: &Fleet, path: &str| {
        let (code, _, told) = flotilla(fleet, &["restore", "customers", path]);
        assert_eq!(code, Some(1), "{told}");
        assert!(told.contains(words), "{words}: {told}");
        assert_eq!(other.sql("select count(*) from write.event"), "0");
        assert_eq!(other.sql("select count(*) from write.ledger where pseq > 0"), "0");
    };
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    fs::write(&events, &damaged).unwrap();
    refused("is damaged", &other, &path);
    fs::write(&events, &whole[..whole.len() - 7]).unwrap();
    refused("bytes, not", &other, &path);
    fs::remove_file(&events).unwrap();
    refused("is damaged", &other, &path);
    fs::write(&events, &whole).unwrap();
    for (from, to, words) in [
        ("\"flotilla backup\"", "\"something else\"", "is no backup"),
        ("\"format\": 1", "\"format\": 7", "has format 7"),
        ("\"context\": \"customers\"", "\"context\": \"others\"", "of others, not of customers"),
        ("\"partitions\": 3", "\"partitions\": 5", "--partitions 5"),
        ("\"name\": \"write.claim\"", "\"name\": \"write.nothing\"", "is no backup"),
    ] {
        assert!(text.contains(from), "{from}: {text}");
        fs::write(&manifest, text.replace(from, to)).unwrap();
        refused(words, &other, &path);
    }
    fs::write(
        &manifest,
        text.replace("\"traceparent\"", "\"x\"").replace("\"meta\"", "\"drop table\""),
    )
    .unwrap();
    refused("no table write.event with the columns", &other, &path);
    fs::write(&manifest, "{}").unwrap();
    refused("is no backup", &other, &path);
    refused("is no backup", &other, "/nowhere");
    fs::write(&manifest, &text).unwrap();
    // Not into a fleet that has decided something: neither its topic nor its write side is empty.
    refused("delete the topic", &fleet, &path);
    let bare = Fleet::bare(&fleet.addresses);
    bare.migrate().await;
    bare.sql("insert into write.claim values ('email', 'x', '00000000-0000-4000-8000-000000000000', 0, 1)");
    refused("write.claim has 1 rows", &bare, &path);
    let (code, _, told) = flotilla(&other, &["restore", "customers", &path]);
    assert_eq!(code, Some(0), "{told}");
}

#[tokio::test]
async fn events_that_kafka_lost_are_published_again() {
    let fleet = Fleet::new().await;
    let server = fleet.whole().await;
    customers(&fleet, &server, 16).await;
    let topic = fleet.names().events("customers");
    let count: usize = fleet.sql("select count(*) from write.event").parse().unwrap();
    let ends: Vec<(i32, i64)> = {
        let records = topics::records(&fleet, &topic).await;
        (0..PARTITIONS)
            .map(|part| (part, records.iter().filter(|it| it.part == part).count()))
            .map(|(part, it)| (part, i64::try_from(it).unwrap()))
            .collect()
    };
    for (part, end) in &ends {
        delete_records(&fleet.addresses, &topic, *part, *end);
    }
    assert_eq!(topics::count(&fleet, &topic).await, 0);
    assert!(!differences(&fleet).await.is_empty());
    goes_on(&server, "lost").await;
    // Part of it, then all of it.
    let (code, said, told) =
        flotilla(&fleet, &["republish", "customers", "--partition", "1", "--from-pseq", "2"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(said.contains("of 1 partitions"), "{said}");
    let has = |records: &[Record], part: i32, pseq: i64| {
        records
            .iter()
            .any(|it| it.part == part && EventHeaders::read(&it.headers).unwrap().pseq == pseq)
    };
    let records = topics::records(&fleet, &topic).await;
    assert!(has(&records, 1, 2) && !has(&records, 1, 1) && !has(&records, 0, 1));
    let (code, said, told) = flotilla(&fleet, &["republish", "customers"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(said.contains(&format!("{} events", count + 3)), "{said}");
    assert_eq!(differences(&fleet).await, []);
    goes_on(&server, "again").await;
    let (code, _, told) = flotilla(&fleet, &["republish", "customers", "--partition", "9"]);
    assert_eq!((code, told.contains("no partition 9")), (Some(1), true), "{told}");
    // The whole topic goes, and another one of its name comes: the handler sees that by itself.
    delete_topic(&fleet.addresses, &topic);
    until_some("the topic is gone", async || (!has_topic(&fleet.addresses, &topic)).then_some(()))
        .await;
    create_topic(&fleet.addresses, &topic);
    goes_on(&server, "anew").await;
    until_some("all agrees again", async || differences(&fleet).await.is_empty().then_some(()))
        .await;
}
