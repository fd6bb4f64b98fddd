//! Records that nobody can read, or should not have written: each a dead letter, and the partition goes on.
use crate::{
    fleet::Fleet,
    server::{Server, until_some},
    topics::{self, PARTITIONS, command, goes_on, stream_in},
};
use customers::Customer;
use functions::{Claim, Context, Decider, Known, Parts, Unique};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared_events::{
    customers::{CustomerCommand, CustomerEvent, CustomerInvited, InviteCustomer, VerifyCustomer},
    frame::unframe,
};
use shell::{ids, port::log::Outgoing};
use uuid::Uuid;

/// Customers, some of whose decisions panic.
struct Panicking;

impl Context for Panicking {
    const NAME: &'static str = "customers";

    fn parts(list: &mut impl Parts) {
        list.decider::<Nervous>();
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Nervous(Customer);

impl Decider for Nervous {
    type Command = CustomerCommand;
    type Event = CustomerEvent;
    type Rejection = customers::Rejection;
    const REVISION: u32 = 1;

    fn asks(command: &CustomerCommand) -> Vec<Unique> {
        Customer::asks(command)
    }

    fn decide(
        &self,
        command: &CustomerCommand,
        known: &Known,
    ) -> Result<Vec<CustomerEvent>, customers::Rejection> {
        if let CustomerCommand::InviteCustomer(it) = command {
            assert!(!it.email.starts_with("boo"), "boo");
        }
        self.0.decide(command, known)
    }

    fn evolve(&mut self, event: &CustomerEvent) {
        self.0.evolve(event);
    }

    fn claims(event: &CustomerEvent) -> Vec<Claim> {
        Customer::claims(event)
    }
}

async fn whole(fleet: &Fleet) -> Server {
    let services = vec![shell::handler::<Panicking>(), shell::aggregator::<customers::Customers>()];
    fleet.serve(services, bff::Config::default()).await
}

async fn status(server: &Server, id: Uuid) -> Value {
    let document = format!("{{ command(id: \"{id}\") {{ status reason }} }}");
    let decided = async || {
        let it = server.ask(&document).await.body["data"]["command"].clone();
        (it["status"] != "UNKNOWN").then_some(it)
    };
    until_some("the command is decided", decided).await
}

#[tokio::test]
async fn a_record_that_is_no_command_is_a_dead_letter_and_the_rest_goes_on() {
    let fleet = Fleet::new().await;
    let server = whole(&fleet).await;
    let shell = fleet.shell();
    let invitation = |stream: Uuid| {
        let email = format!("{stream}@example.com");
        CustomerCommand::from(InviteCustomer { customer_id: stream, email })
    };
    let mut records = Vec::new();
    let mut expected = Vec::new();
    for part in 0..PARTITIONS {
        let mut bad = async |code: &'static str, change: &dyn Fn(&mut Outgoing)| {
            let (id, stream) = (ids::new_id(), stream_in(part));
            let mut it = command(&fleet, &shell, id, stream, &invitation(stream)).await;
            change(&mut it);
            records.push(it);
            expected.push((id, code));
        };
        bad("UNDECODABLE", &|it| it.payload = b"hello".to_vec()).await;
        bad("UNDECODABLE", &|it| it.payload.clear()).await;
        bad("UNDECODABLE", &|it| it.payload[1..5].copy_from_slice(&999_999_u32.to_be_bytes()))
            .await;
        bad("UNDECODABLE", &|it| it.payload.truncate(20)).await;
        bad("UNDECODABLE", &|it| it.headers.retain(|(name, _)| name == "ce_id")).await;
        bad("MISROUTED", &|it| it.part = (it.part + 1) % PARTITIONS).await;
        bad("MISROUTED", &|it| it.key = b"somebody else".to_vec()).await;
        // An event on the command topic: a schema that is known, for nobody.
        let (id, stream) = (ids::new_id(), stream_in(part));
        let event = CustomerInvited { customer_id: stream, email: "a@example.com".to_owned() };
        records.push(command(&fleet, &shell, id, stream, &CustomerEvent::from(event)).await);
        expected.push((id, "UNKNOWN_COMMAND"));
        let (id, stream) = (ids::new_id(), stream_in(part));
        let email = "boo@example.com".to_owned();
        let boo = CustomerCommand::from(InviteCustomer { customer_id: stream, email });
        records.push(command(&fleet, &shell, id, stream, &boo).await);
        expected.push((id, "PANICKED"));
    }
    let sent = records.clone();
    topics::write(&shell, records).await;
    goes_on(&server, "after").await;
    for (id, code) in &expected {
        let it = status(&server, *id).await;
        assert_eq!((&it["status"], &it["reason"]), (&json!("REJECTED"), &json!(code)));
    }
    let letters = "select json_agg(json_build_array(command_id, code) order by command_id) from write.dead_letter";
    expected.sort();
    assert_eq!(fleet.json(letters), json!(expected));
    // The bytes are kept.
    let bytes = fleet.json("select json_agg(encode(payload, 'hex')) from write.dead_letter");
    for it in &sent {
        assert!(bytes.as_array().is_some_and(|all| all.contains(&json!(hex(&it.payload)))));
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, it| format!("{text}{it:02x}"))
}

#[tokio::test]
async fn a_poisoned_event_stops_its_stream_and_nothing_else() {
    let fleet = Fleet::new().await;
    let server = whole(&fleet).await;
    let shell = fleet.shell();
    goes_on(&server, "before").await;

    // Records without an envelope are nobody's events.
    let topic = fleet.names().events("customers");
    let rubbish = |part| Outgoing {
        topic: topic.clone(),
        part,
        key: b"who".to_vec(),
        headers: Vec::new(),
        payload: b"what".to_vec(),
    };
    topics::write(&shell, (0..PARTITIONS).map(rubbish).collect()).await;
    goes_on(&server, "rubbish").await;
    drop(server);

    // A stream with an event whose body is damaged, and one after it.
    let stream = stream_in(1);
    fleet.sql(&format!(
        "insert into write.event
            select 1, l.pseq + n, '{stream}', n, e.type, e.schema, case n when 1 then '\\x02' else e.data end, e.meta, e.at
            from write.ledger l, generate_series(1, 2) n, (select * from write.event limit 1) e where l.part = 1;
        update write.ledger set pseq = pseq + 2 where part = 1"
    ));
    let server = whole(&fleet).await;
    let parked =
        "select count(*), count(distinct view), count(distinct stream) from read.parked_event";
    fleet.until_sql(parked, "4|2|1").await;
    goes_on(&server, "poison").await;
    assert_eq!(fleet.sql(parked), "4|2|1");

    // Nobody decides on a history that cannot be read.
    let id = ids::new_id();
    let verify = CustomerCommand::from(VerifyCustomer { customer_id: stream });
    let record = command(&fleet, &shell, id, stream, &verify).await;
    assert!(unframe(&record.payload).is_ok());
    topics::write(&shell, vec![record]).await;
    let it = status(&server, id).await;
    assert_eq!((&it["status"], &it["reason"]), (&json!("REJECTED"), &json!("NEWER_HISTORY")));
}
