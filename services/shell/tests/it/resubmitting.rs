//! Commands that could not be decided, sent again under new ids (protocol.md W10).
use crate::{
    fleet::{code, envelope, id, id_in, outcome, record_of, run, until},
    letters::ada,
    toys::{ToyRow, Toys, build},
};
use functions::View as _;
use serde_json::{Value, json};
use shared_events::fleet::Verdict;
use shell::{
    Client,
    letters::{
        CommandPlace, Commands, Desk, Edit, Kind, LetterError, LetterId, Resubmitted, Wanted,
    },
    memory::Fleet,
};
use std::time::Duration;
use uuid::Uuid;

const DEADLINE: Duration = Duration::from_secs(2);

fn dead(all: bool) -> Wanted {
    Wanted { kind: Some(Kind::Commands), all, limit: 100, ..Wanted::default() }
}

async fn places(desk: &Desk, all: bool) -> Vec<CommandPlace> {
    let place = |it: shell::letters::Letter| match it.id {
        LetterId::Command(it) => it,
        LetterId::Event(it) => panic!("{it:?}"),
    };
    desk.list(None, &dead(all)).await.unwrap().letters.into_iter().map(place).collect()
}

/// A command whose decision panics; its id, and its letter.
async fn panicked(fleet: &Fleet, client: &Client, n: u128) -> (Uuid, CommandPlace) {
    let envelope = envelope(client);
    let command_id = envelope.command_id;
    let answer = client.command(&build(n, "panic"), envelope).await.unwrap();
    assert_eq!(code(&answer), "PANICKED");
    let desk = client.desk(&["toys"]);
    until("it is a dead letter", || !fleet.store.dead_letters("toys").is_empty()).await;
    (command_id, places(&desk, false).await.pop().unwrap())
}

async fn resubmit(
    client: &Client,
    place: &CommandPlace,
    edit: impl Into<Option<Edit>>,
) -> Result<Resubmitted, LetterError> {
    let (desk, commands) = (client.desk(&["toys"]), Commands::of::<Toys>());
    desk.resubmit(client, &commands, place, edit.into(), &ada(), DEADLINE).await
}

fn edit(record: Option<&str>, json: Value) -> Edit {
    Edit { record: record.map(str::to_owned), json }
}

#[test]
fn a_command_that_was_edited_is_accepted_and_its_letter_dealt_with() {
    run(async |fleet| {
        let _services = (fleet.handler::<Toys>(), fleet.aggregator::<Toys>());
        let client = fleet.client::<Toys>();
        let desk = client.desk(&["toys"]);
        let (old, place) = panicked(&fleet, &client, 7).await;
        let (record, mut json) = desk.editable(&Commands::of::<Toys>(), &place).await.unwrap();
        assert_eq!((&*record, &json["part"]), ("flotilla.toys.BuildToy", &json!("panic")));
        json["part"] = json!("wheel");
        let done = resubmit(&client, &place, edit(None, json)).await.unwrap();
        assert_eq!((done.answer.verdict, done.is_resolved), (Verdict::Accepted, true));
        assert_ne!(done.command_id, old);
        until("it is shown", || fleet.store.rows("toys", ToyRow::TABLE).len() == 1).await;

        assert_eq!(code(&outcome(&client, "toys", old).await), "PANICKED", "its outcome stays");
        assert_eq!(fleet.store.dead_letters("toys").len(), 1, "its bytes stay, as a proof");
        assert_eq!(places(&desk, false).await, []);
        let letter = desk.list(None, &dead(true)).await.unwrap().letters.pop().unwrap();
        let said = letter.resolution.unwrap().what;
        assert_eq!(said, format!("resubmitted: ACCEPTED as {}", done.command_id));
        let again = resubmit(&client, &place, None).await.unwrap_err().to_string();
        assert!(again.contains("was dealt with at") && again.contains("ACCEPTED"), "{again}");
        let events = fleet.store.events("toys");
        assert_eq!(events.len(), 1);
        assert!(events[0].meta.contains("ada@example.com"), "{}", events[0].meta);
        let shown = desk.show(&letter.id).await.unwrap();
        assert_eq!((shown.operations.len(), &*shown.operations[0].action), (1, "resubmit"));
    });
}

#[test]
fn one_that_a_rule_refuses_stays_and_one_that_dies_again_is_another_letter() {
    run(async |fleet| {
        let _handler = fleet.handler::<Toys>();
        let client = fleet.client::<Toys>();
        let desk = client.desk(&["toys"]);
        let (_, place) = panicked(&fleet, &client, 7).await;
        let of = |part: &str| edit(None, json!({ "toy_id": id(7), "part": part }));
        let refused = resubmit(&client, &place, of("count")).await.unwrap();
        assert_eq!((code(&refused.answer), refused.is_resolved), ("TOO_MANY_PARTS", false));
        assert_eq!(places(&desk, false).await, std::slice::from_ref(&place));
        // The same once more is another attempt.
        let once_more = resubmit(&client, &place, of("count")).await.unwrap();
        assert_ne!(once_more.command_id, refused.command_id);

        let died = resubmit(&client, &place, None).await.unwrap();
        assert_eq!((code(&died.answer), died.is_resolved), ("PANICKED", true));
        let open = places(&desk, false).await;
        assert_eq!(open.len(), 1);
        assert_ne!(open[0], place);
        assert!(resubmit(&client, &open[0], of("wheel")).await.unwrap().is_resolved);
        assert_eq!((places(&desk, false).await.len(), places(&desk, true).await.len()), (0, 2));
        assert_eq!(desk.operations(None, 100).await.unwrap().len(), 4);
    });
}

#[test]
fn an_attempt_whose_answer_was_lost_has_one_effect() {
    run(async |fleet| {
        let handler = fleet.handler::<Toys>();
        let client = fleet.client::<Toys>();
        let (_, place) = panicked(&fleet, &client, 7).await;
        handler.stop().await;
        let wheel = || edit(None, json!({ "toy_id": id(7), "part": "wheel" }));
        let lost = resubmit(&client, &place, wheel()).await.unwrap_err();
        assert!(
            matches!(lost, LetterError::Command { .. })
                && lost.to_string().contains("no answer yet")
        );
        let _handler = fleet.handler::<Toys>();
        let done = resubmit(&client, &place, wheel()).await.unwrap();
        assert_eq!(done.answer.verdict, Verdict::Accepted);
        assert_eq!(fleet.store.events("toys").len(), 1);
    });
}

#[test]
fn bytes_that_are_no_command_are_kept_and_may_be_told_anew() {
    run(async |fleet| {
        let _handler = fleet.handler::<Toys>();
        let client = fleet.client::<Toys>();
        let desk = client.desk(&["toys"]);
        let mut record = record_of(&fleet, &build(id_in(0, 0), "wheel"), id(9)).await;
        record.payload = b"rubbish\xff".to_vec();
        record.headers.retain(|(name, _)| name == "ce_id");
        fleet.log.append(record);
        until("it is a dead letter", || fleet.store.dead_letters("toys").len() == 1).await;
        let place = places(&desk, false).await.pop().unwrap();
        let name = LetterId::Command(place.clone());
        let shown = format!("{:?}", desk.show(&name).await.unwrap().body);
        assert!(shown.contains("72756262697368ff"), "{shown}");
        let json = json!({ "toy_id": id(7), "part": "wheel" });
        let unread = resubmit(&client, &place, None).await.unwrap_err().to_string();
        assert!(unread.contains("cannot be read"), "{unread}");
        for (given, says) in [
            (edit(None, json.clone()), "name no record"),
            (edit(Some("BuildTruck"), json.clone()), "there are flotilla.toys.BuildToy"),
            (edit(Some("BuildToy"), json!({ "toy_id": id(7) })), "missing field `part`"),
            (edit(Some("BuildToy"), json!({ "toy_id": id(7), "part": "\0" })), "U+0000"),
            (
                edit(Some("BuildToy"), json!({ "toy_id": id(7), "part": "a", "prat": 1 })),
                "no field \"prat\"",
            ),
            (edit(Some("BuildToy"), json!([1])), "no flotilla.toys.BuildToy"),
        ] {
            let error = resubmit(&client, &place, given).await.unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        let large = json!({ "toy_id": id(7), "part": "x".repeat(200_000) });
        let error = resubmit(&client, &place, edit(Some("BuildToy"), large)).await.unwrap_err();
        assert!(error.to_string().contains("make it smaller"), "{error}");
        assert_eq!(places(&desk, false).await.len(), 1);
        assert!(resubmit(&client, &place, edit(Some("BuildToy"), json)).await.unwrap().is_resolved);
    });
}

#[test]
fn a_discarded_command_is_kept_and_counted_no_more() {
    run(async |fleet| {
        let _handler = fleet.handler::<Toys>();
        let client = fleet.client::<Toys>();
        let desk = client.desk(&["toys"]);
        let (old, place) = panicked(&fleet, &client, 7).await;
        let name = LetterId::Command(place);
        desk.discard(&name, &ada(), Duration::ZERO).await.unwrap();
        assert!(desk.discard(&name, &ada(), Duration::ZERO).await.is_err());
        assert_eq!(places(&desk, false).await, []);
        assert_eq!(desk.show(&name).await.unwrap().letter.resolution.unwrap().what, "discarded");
        assert_eq!(fleet.store.dead_letters("toys").len(), 1);
        assert_eq!(code(&outcome(&client, "toys", old).await), "PANICKED");
    });
}
