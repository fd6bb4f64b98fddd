//! Each kind of difference, made on purpose.
use super::{audited, customers, differences, table};
use crate::{fleet::Fleet, servers::delete_records, topics};
use ::customers::Customers;
use shell::{
    audit::{Difference, Kind, Scope},
    port::log::Outgoing,
};
use std::collections::BTreeSet;

/// The tables that are tampered with, and back as they were.
struct Kept<'a> {
    fleet: &'a Fleet,
    tables: Vec<String>,
}

impl<'a> Kept<'a> {
    fn new(fleet: &'a Fleet) -> Self {
        let tables = [
            "write.event",
            "write.ledger",
            "write.outcome",
            "write.claim",
            "write.snapshot",
            "read.checkpoint",
            "read.parked_event",
        ];
        let mut tables: Vec<String> = tables.into_iter().map(str::to_owned).collect();
        tables.extend([table(fleet, "customer"), table(fleet, "invitations_per_day")]);
        fleet.sql("create schema kept");
        for (n, it) in tables.iter().enumerate() {
            fleet.sql(&format!("create table kept.t{n} as table {it}"));
        }
        Self { fleet, tables }
    }

    fn put_back(&self) {
        for (n, it) in self.tables.iter().enumerate() {
            self.fleet.sql(&format!("delete from {it}; insert into {it} table kept.t{n}"));
        }
    }
}

/// A line each: of which kind the difference is, what is done to the store, and words that it is named by.
const INJURIES: &str = r#"
pseq | update write.ledger set pseq = pseq + 1 where part = 0 | partition 0; nothing
pseq | delete from write.event where part = 0 and pseq = {last} | partition 0; event {last}; nothing
pseq | delete from write.ledger where part = 2 | partition 2; a row in the ledger
version | update write.event set version = 7 where stream = '{twice}' and version = 2 | {twice}; version 2; version 7
place | update write.event set part = (part + 1) % 3, pseq = 100000 where stream = '{stream}' | {stream}; partition
time | update write.event set at = at - interval '1 day' where stream = '{twice}' and version = 2 | {twice}; or later
event | update write.event set data = '\x00' where stream = '{stream}' | CustomerInvited; can be read
event | update write.event set schema = 77 where stream = '{stream}' | is nowhere
outcome | delete from write.outcome where command_id = '{command}' | {command}; an outcome; {stream}
outcome | update write.outcome set body = (select body from write.outcome where command_id <> '{command}' limit 1) where command_id = '{command}' | {command}; its own outcome
outcome | update write.event set meta = jsonb_set(meta, '{causation}', to_jsonb('{other}'::text)) where stream = '{stream}' | {other}; event
claim | delete from write.claim where stream = '{stream}' | {email}; {stream}; nobody
claim | insert into write.claim values ('email', 'nobody@example.com', '{nobody}', 0, 1) | nobody@example.com; {nobody}
claim | insert into write.claim values ('email', 'nobody@example.com', '{stream}', 0, 1) | nobody@example.com; {stream}
claim | update write.claim set pseq = pseq + 1000 where stream = '{stream}' | {email}; since event
snapshot | insert into write.snapshot select stream, 'Customer.1', version, '"Unknown"', at from write.event where stream = '{stream}' | {stream}; Invited; Unknown
snapshot | insert into write.snapshot values ('{nobody}', 'Customer.1', 1, '"Unknown"', now()) | {nobody}
view | update {customer} set email = 'other@example.com' where id = '{stream}' | customer; {stream}; other@example.com
view | update {customer} set invited_at = invited_at + interval '1 microsecond' where id = '{stream}' | customer; {stream}
view | delete from {customer} where id = '{stream}' | customer; {stream}; no row
view | insert into {customer} (id, email, status, invited_at, version, "?words") values ('{nobody}', 'x', 'INVITED', now(), 1, '') | {nobody}; no row
view | update {customer} set "?words" = '''other''' where id = '{stream}' | {stream}; words; other
view | update {days} set invited = invited + 1 | invitations_per_day; invited
view | delete from {days} | invitations_per_day; no row
view | insert into {days} values ('1999-01-01', 1, 1) | 1999-01-01; no row
view | update read.checkpoint set pseq = pseq - 1 where view = 'customer' and pseq > 0 | customer
view | update read.checkpoint set incarnation = 9 where view = 'customer' and part = 1 | customer; partition 1; incarnation 9
"#;

/// The injuries of this fleet, as (kind, SQL, words).
fn injuries(fleet: &Fleet) -> Vec<(String, String, Vec<String>)> {
    let one = |sql: &str| fleet.sql(sql);
    let stream = one(
        "select stream from write.event group by stream having count(*) = 1 order by stream limit 1",
    );
    let of = |what: &str| one(&format!("select {what} from write.event where stream = '{stream}'"));
    let twice =
        "from write.event where version = 2 and type like '%Verified' order by stream limit 1";
    let names = [
        ("{last}", one("select pseq from write.ledger where part = 0")),
        ("{twice}", one(&format!("select stream {twice}"))),
        ("{other}", one(&format!("select meta->>'causation' {twice}"))),
        ("{command}", of("meta->>'causation'")),
        ("{email}", one(&format!("select value from write.claim where stream = '{stream}'"))),
        ("{stream}", stream.clone()),
        ("{nobody}", "00000000-0000-4000-8000-000000000000".to_owned()),
        ("{customer}", table(fleet, "customer")),
        ("{days}", table(fleet, "invitations_per_day")),
    ];
    let text = names.iter().fold(INJURIES.to_owned(), |text, (name, it)| text.replace(name, it));
    let injury = |line: &str| {
        let [kind, sql, words]: [&str; 3] =
            line.split(" | ").collect::<Vec<_>>().try_into().unwrap();
        (kind.to_owned(), sql.to_owned(), words.split("; ").map(str::to_owned).collect())
    };
    text.trim().lines().map(injury).collect()
}

fn is_named(found: &[Difference], kind: Kind, words: &[String]) -> bool {
    found.iter().filter(|it| it.kind == kind).any(|it| {
        let text = format!("{} {} {}", it.place, it.expected, it.found);
        words.iter().all(|word| text.contains(word.as_str()))
    })
}

const ALL: [Kind; 10] = [
    Kind::Pseq,
    Kind::Version,
    Kind::Place,
    Kind::Time,
    Kind::Event,
    Kind::Topic,
    Kind::Outcome,
    Kind::Claim,
    Kind::Snapshot,
    Kind::View,
];

/// Kinds whose injuries can be seen in nothing else.
const ALONE: [Kind; 3] = [Kind::Claim, Kind::Snapshot, Kind::View];

#[tokio::test]
async fn every_difference_is_named() {
    let fleet = Fleet::new().await;
    let server = fleet.whole().await;
    customers(&fleet, &server, 24).await;
    // Nobody mends anything meanwhile.
    drop(server);
    assert_eq!(differences(&fleet).await, []);
    let kept = Kept::new(&fleet);
    let mut kinds = BTreeSet::new();
    for (kind, sql, words) in injuries(&fleet) {
        let kind = ALL.into_iter().find(|it| it.name() == kind).unwrap();
        fleet.sql(&sql);
        for rows_max in [100_000, 1] {
            let scope = Scope { rows_max, ..Scope::default() };
            let found = audited::<Customers>(&fleet, &scope).await.1;
            assert!(
                is_named(&found, kind, &words),
                "{sql}: no {kind} with {words:?} in {found:#?}"
            );
            if ALONE.contains(&kind) {
                assert!(found.iter().all(|it| it.kind == kind), "{sql}: {found:#?}");
            }
        }
        kinds.insert(kind);
        kept.put_back();
    }
    assert_eq!(differences(&fleet).await, []);
    // The topic, in the end: nothing is ever taken back there.
    let shell = fleet.shell();
    let topic = fleet.names().events("customers");
    let records = topics::records(&fleet, &topic).await;
    let copy = |it: &shell::port::log::Record| Outgoing {
        topic: topic.clone(),
        part: it.part,
        key: it.key.clone().unwrap_or_default(),
        headers: it.headers.clone(),
        payload: it.payload.clone().unwrap_or_default(),
    };
    topics::write(&shell, records.iter().map(copy).collect()).await;
    assert_eq!(differences(&fleet).await, [], "the same again is no difference");
    let mut foreign = copy(&records[0]);
    foreign.headers.clear();
    let mut body = copy(&records[0]);
    if let Some(byte) = body.payload.last_mut() {
        *byte ^= 1;
    }
    let mut number = copy(&records[0]);
    let set = |outgoing: &mut Outgoing, name: &str, value: &str| {
        for (_, it) in outgoing.headers.iter_mut().filter(|it| it.0 == name) {
            *it = value.into();
        }
    };
    set(&mut number, "pseq", "5000");
    let mut life = copy(&records[0]);
    set(&mut life, "incarnation", "2");
    topics::write(&shell, vec![foreign, body, number, life]).await;
    delete_records(&fleet.addresses, &topic, 1, 1);
    let missing = records.iter().find(|it| it.part == 1).unwrap();
    assert_eq!(missing.offset, 0);
    let found = differences(&fleet).await;
    assert!(found.iter().all(|it| it.kind == Kind::Topic), "{found:#?}");
    for words in [
        ["no event", "ce_"],
        ["event", "another body"],
        ["event 5000", "has none"],
        ["incarnation 2", "instead of 1"],
    ] {
        let words = words.map(str::to_owned);
        assert!(is_named(&found, Kind::Topic, &words), "{words:?} in {found:#?}");
    }
    // Copies of it stand behind: only without any of them something is missing.
    assert_eq!(found.len(), 4, "{found:#?}");
    let end = topics::records(&fleet, &topic).await.iter().rfind(|it| it.part == 1).unwrap().offset;
    delete_records(&fleet.addresses, &topic, 1, end + 1);
    let found = differences(&fleet).await;
    let all = fleet.sql("select published from write.ledger where part = 1");
    let words = [format!("{topic}/1"), format!("events 1 to {all}"), "nothing".to_owned()];
    assert!(is_named(&found, Kind::Topic, &words), "{words:?} in {found:#?}");
    kinds.insert(Kind::Topic);
    assert_eq!(kinds, ALL.into());
}
