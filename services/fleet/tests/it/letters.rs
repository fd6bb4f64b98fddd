//! What operators do with dead letters, on real servers and with the program they use.
use crate::{
    fleet::Fleet,
    server::{Server, until_some},
    topics::{self, PARTITIONS, command, goes_on, stream_in},
};
use ::customers::{Customer, views};
use functions::{Context, Happened, Message as _, Parts, Project};
use serde_json::{Value, json};
use shared_events::customers::{CustomerCommand, CustomerEvent, InviteCustomer};
use shell::ids;
use std::{
    fs,
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicBool, Ordering},
};
use uuid::Uuid;

/// Customers with one view more, whose fold has a mistake until it is mended.
struct Shy;

impl Context for Shy {
    const NAME: &'static str = "customers";

    fn parts(list: &mut impl Parts) {
        list.decider::<Customer>();
        list.view::<views::Customer>().view::<views::InvitationsPerDay>().view::<Emails>();
    }
}

static MENDED: AtomicBool = AtomicBool::new(false);

functions::row! {
    /// The addresses that a customer has had.
    pub struct Emails in "emails" {
        /// The customer.
        pub id: Uuid,
        /// Each, in order.
        pub all: String,
    }
    revision 1;
    follows CustomerEvent;
}

impl Project<CustomerEvent> for Emails {
    fn key(event: &CustomerEvent, _: &Happened) -> Option<Uuid> {
        Some(event.stream())
    }

    fn project(row: Option<Self>, event: &CustomerEvent, _: &Happened) -> Option<Self> {
        let email = match event {
            CustomerEvent::CustomerInvited(it) => &it.email,
            CustomerEvent::CustomerEmailChanged(it) => &it.email,
            CustomerEvent::CustomerVerified(_) | CustomerEvent::CustomerRemoved(_) => return row,
        };
        let is_mended = MENDED.load(Ordering::Relaxed);
        assert!(is_mended || !email.starts_with("poison"), "told to panic");
        assert!(!email.starts_with("venom"), "told to panic whatever is mended");
        let before = row.map(|it| it.all).unwrap_or_default();
        Some(Self { id: event.stream(), all: format!("{before}{email} ") })
    }
}

/// `flotilla dead-letters`, of this fleet.
fn program(fleet: &Fleet, arguments: &[&str]) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_flotilla"));
    program.arg("dead-letters").args(arguments).args(fleet.options());
    program.env("USER", "ada").env_remove("FLOTILLA_DATA").env_remove("VISUAL");
    program
}

#[expect(clippy::unwrap_used, reason = "only tests call this")]
fn dead_letters(fleet: &Fleet, arguments: &[&str]) -> Output {
    program(fleet, arguments).output().unwrap()
}

/// The same; what it says as JSON.
#[track_caller]
fn told(fleet: &Fleet, arguments: &[&str]) -> Value {
    let out = dead_letters(fleet, &[arguments, &["--json"]].concat());
    let text = String::from_utf8_lossy(&out.stdout);
    serde_json::from_str(&text)
        .unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&out.stderr)))
}

fn listed(fleet: &Fleet) -> Vec<String> {
    let listed = told(fleet, &["list"]);
    let letters = listed["letters"].as_array().into_iter().flatten();
    letters.map(|it| it["letter"].as_str().unwrap_or_default().to_owned()).collect()
}

async fn change_email(server: &Server, customer: Uuid, email: &str) {
    let input = json!({ "customerId": customer, "email": email });
    let it = server.mutate("changeCustomerEmail", input).await;
    assert_eq!(it.body.get("errors"), None, "{}", it.body);
}

async fn invite(server: &Server, customer: Uuid, email: &str) {
    let input = json!({ "customerId": customer, "email": email });
    let it = server.mutate("inviteCustomer", input).await;
    assert_eq!(it.body.get("errors"), None, "{}", it.body);
}

/// What the view shows of a customer.
fn shown(fleet: &Fleet, customer: Uuid) -> String {
    let table = "select format('%I.%I', table_schema, table_name) from information_schema.tables where table_name = 'emails'";
    let table = fleet.sql(table);
    fleet.sql(&format!("select \"all\" from {table} where id = '{customer}'"))
}

#[tokio::test]
async fn a_parked_stream_is_mended_by_whoever_reads_the_status() {
    let fleet = Fleet::new().await;
    let services = vec![shell::handler::<Shy>(), shell::aggregator::<Shy>()];
    let server = fleet.serve(services, bff::Config::default()).await;
    let (bad, worse, good) = (stream_in(1), stream_in(1), stream_in(1));
    for (customer, email) in
        [(bad, "a1@example.com"), (worse, "b1@example.com"), (good, "c1@example.com")]
    {
        invite(&server, customer, email).await;
    }
    change_email(&server, bad, "poison@example.com").await;
    change_email(&server, worse, "venom@example.com").await;
    change_email(&server, bad, "a2@example.com").await;
    change_email(&server, worse, "b2@example.com").await;
    change_email(&server, good, "c2@example.com").await;
    fleet.until_sql("select count(*), count(distinct stream) from read.parked_event", "4|2").await;
    assert_eq!(shown(&fleet, good), "c1@example.com c2@example.com");
    assert_eq!(
        listed(&fleet),
        [
            "customers/emails/1:4",
            "customers/emails/1:5",
            "customers/emails/1:6",
            "customers/emails/1:7"
        ]
    );
    let gauge = r#"flotilla_parked_events_open{context="customers",view="emails"} "#;
    assert!(server.text("/metrics").await.contains(&format!("{gauge}4\n")));
    let status: Value = serde_json::from_str(&server.text("/status").await).expect("JSON");
    let parked = status["contexts"]["customers"]["parked"].as_array().cloned().unwrap_or_default();
    assert!(parked.iter().any(|it| it["view"] == "emails" && it["streams"] == 2), "{parked:?}");
    let show = told(&fleet, &["show", "customers/emails/1:4"]);
    assert_eq!(
        (&show["body"]["email"], &show["record"]),
        (&json!("poison@example.com"), &json!("flotilla.customers.CustomerEmailChanged"))
    );

    // Tried again too early, nothing changes.
    let early = dead_letters(&fleet, &["retry", "customers/emails/1:4"]);
    assert!(!early.status.success());
    assert!(String::from_utf8_lossy(&early.stdout).contains("still wait"), "{early:?}");
    assert_eq!(shown(&fleet, bad), "a1@example.com");
    // Mended; while traffic goes on.
    MENDED.store(true, Ordering::Relaxed);
    let traffic = async {
        for n in 0..30 {
            change_email(&server, good, &format!("c{n}@traffic.org")).await;
            change_email(&server, bad, &format!("a{n}@traffic.org")).await;
        }
    };
    let arguments = ["retry", "--view", "emails", "--reason", "mended", "--json"];
    let mut retry = program(&fleet, &arguments);
    let retry = retry.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    traffic.await;
    let out = retry.wait_with_output().expect("it ends");
    let retry: Value = serde_json::from_slice(&out.stdout).unwrap_or_else(|_| panic!("{out:?}"));
    assert_eq!((&retry["streams"], &retry["is_pending"]), (&json!(2), &json!(false)));
    let waiting = retry["waiting"].as_array().cloned().unwrap_or_default();
    assert_eq!(waiting.len(), 1, "the worse one waits: {retry}");
    assert_eq!(waiting[0]["letter"], "customers/emails/1:5");
    goes_on(&server, "after").await;
    let traffic = (0..30).map(|n| format!("a{n}@traffic.org"));
    let before = ["a1@example.com", "poison@example.com", "a2@example.com"].map(str::to_owned);
    let expected = before.into_iter().chain(traffic).collect::<Vec<_>>().join(" ");
    let is_shown = async || (shown(&fleet, bad) == expected).then_some(());
    until_some("all of it is shown, once, in order", is_shown).await;

    // The other one is given up.
    let no_reason = dead_letters(&fleet, &["discard", "customers/emails/1:5"]);
    assert!(String::from_utf8_lossy(&no_reason.stderr).contains("needs a reason"), "{no_reason:?}");
    let queued = dead_letters(&fleet, &["discard", "customers/emails/1:7", "--reason", "x"]);
    assert!(
        String::from_utf8_lossy(&queued.stderr).contains("only waits behind customers/emails/1:5")
    );
    let done = told(&fleet, &["discard", "customers/emails/1:5", "--reason", "never to be shown"]);
    assert_eq!((&done["streams"], &done["waiting"]), (&json!(1), &json!([])));
    assert_eq!(shown(&fleet, worse), "b1@example.com b2@example.com");
    assert_eq!(listed(&fleet), Vec::<String>::new());
    assert!(server.text("/metrics").await.contains(&format!("{gauge}0\n")));
    let discards = "select view, topic, part, pseq, reason from read.discard";
    assert_eq!(fleet.sql(discards), "emails|customers.events|1|5|never to be shown");
    let log = told(&fleet, &["log"]);
    let did: Vec<&Value> = log.as_array().into_iter().flatten().map(|it| &it["did"]).collect();
    assert_eq!(did, ["discard", "retry", "retry"]);
    assert!(log[0]["who"].as_str().is_some_and(|it| it.starts_with("ada@")), "{log}");
    assert_eq!((&log[1]["why"], &log[1]["letter"]), (&json!("mended"), &json!("customers/emails")));
    // What was done stays done.
    for change in ["delete from write.operation", "update write.operation set actor = 'eve'"] {
        fleet.sql(&format!(
            "do $$ begin
                begin {change}; raise 'it was not refused';
                exception when others then
                    if sqlerrm not like '%can only be appended to' then raise; end if;
                end;
            end $$"
        ));
    }
}

#[tokio::test]
async fn a_command_is_edited_and_sent_again() {
    let fleet = Fleet::new().await;
    let server = fleet.whole().await;
    let shell = fleet.shell();
    let stream = stream_in(1);
    let (id, email) = (ids::new_id(), "ada@example.com".to_owned());
    let invite = CustomerCommand::from(InviteCustomer { customer_id: stream, email });
    let mut record = command(&fleet, &shell, id, stream, &invite).await;
    // In a partition that is not its own.
    record.part = (record.part + 1) % PARTITIONS;
    topics::write(&shell, vec![record]).await;
    fleet.until_sql("select count(*) from write.dead_letter", "1").await;
    let letter = listed(&fleet).pop().expect("a letter");
    let gauge = r#"flotilla_dead_letters_open{context="customers"} "#;
    assert!(server.text("/metrics").await.contains(&format!("{gauge}1\n")));
    let text =
        String::from_utf8_lossy(&dead_letters(&fleet, &["show", &letter]).stdout).into_owned();
    for expected in
        ["MISROUTED", "ada@example.com", "flotilla.customers.InviteCustomer", &id.to_string()]
    {
        assert!(text.contains(expected), "{expected} is not in\n{text}");
    }

    // An editor that people might have.
    let folder = std::env::temp_dir().join(format!("letters-{}", ids::new_id()));
    fs::create_dir_all(&folder).expect("a folder");
    let editor = folder.join("editor");
    fs::write(&editor, "sed -i s/ada@/bob@/ \"$1\"\n").expect("an editor");
    let arguments = ["resubmit", &letter, "--edit", "--reason", "a typo", "--json"];
    let mut program = program(&fleet, &arguments);
    program.env("EDITOR", format!("sh {}", editor.display())).env("TMPDIR", &folder);
    let out = program.output().expect("it ends");
    let done: Value = serde_json::from_slice(&out.stdout).unwrap_or_else(|_| panic!("{out:?}"));
    assert_eq!((&done["accepted"], &done["resolved"]), (&json!(true), &json!(true)));
    assert_eq!(done["stream"], json!(stream));
    let left = fs::read_dir(&folder).expect("a folder").count();
    assert_eq!(left, 1, "what was edited is gone");
    drop(fs::remove_dir_all(&folder));
    assert_eq!(fleet.sql("select string_agg(value, ',') from write.claim"), "bob@example.com");
    assert_eq!(listed(&fleet), Vec::<String>::new());
    assert!(server.text("/metrics").await.contains(&format!("{gauge}0\n")));
    let kept = "select count(*), count(payload), count(resolved_at) from write.dead_letter";
    assert_eq!(fleet.sql(kept), "1|1|1");
    let document = format!("{{ command(id: \"{id}\") {{ status reason }} }}");
    let old = server.ask(&document).await.body["data"]["command"].clone();
    assert_eq!((&old["status"], &old["reason"]), (&json!("REJECTED"), &json!("MISROUTED")));
    let again = dead_letters(&fleet, &["resubmit", &letter]);
    assert!(String::from_utf8_lossy(&again.stderr).contains("was dealt with"), "{again:?}");
}

#[tokio::test]
async fn rubbish_is_answered_with_advice() {
    let fleet = Fleet::new().await;
    for (arguments, says) in [
        (&["show", "rubbish"][..], "such as customers/customer/3:17"),
        (&["show", "customers/customer/-1:3"], "names no dead letter"),
        (&["show", "customers/commands/0:3"], "there is no dead letter"),
        (&["show", "nowhere/customer/0:3"], "there is no context \"nowhere\"; there are customers"),
        (&["retry"], "retry what?"),
        (&["retry", "--all"], "no such event waits"),
        (&["retry", "--view", "nowhere/customer"], "there is no context"),
        (&["retry", "customers/commands/0:3"], "resubmit it"),
        (&["retry", "customers/customer/0:3", "--all"], "cannot be used with"),
        (&["discard", "customers/customer/0:3"], "needs a reason"),
        (&["discard", "customers/customer/0:3", "--reason", "x"], "there is no dead letter"),
        (&["discard", "customers/customer/0:3", "--reason", "x", "--by", " "], "nobody is named"),
        (&["resubmit", "customers/customer/0:3"], "is an event"),
        (&["resubmit", "customers/commands/0:3", "--body", "/nowhere"], "read /nowhere"),
        (&["list", "--limit", "0"], "invalid value"),
    ] {
        let out = dead_letters(&fleet, arguments);
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(!out.status.success() && said.contains(says), "{arguments:?}: {said}");
    }
    let out = dead_letters(&fleet, &["list"]);
    assert_eq!(String::from_utf8_lossy(&out.stdout), "No dead letters.\n");
}
