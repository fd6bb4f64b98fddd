//! Records on the topics, as the loops meet them: a good record that was spoiled, and whatever it is now, it is
//! decided or kept as a dead letter, and what is behind it goes on.
use customers::{Customers, views};
use functions::Message;
use shared_events::{
    customers::{
        AskCustomerState, CustomerCommand, CustomerEvent, CustomerInvited, InviteCustomer,
        VerifyCustomer,
    },
    frame,
    headers::{CommandHeaders, EventHeaders, RawHeaders, ReplyTo},
};
use shell::{
    client::{Envelope, Query},
    clock::Clock,
    codec::Codec,
    memory::{Fleet, FleetOptions},
    partition::partition_of,
    port::log::Outgoing,
    position::Position,
};
use std::{sync::Arc, time::Duration};
use tokio::task::LocalSet;
use uuid::Uuid;

const PARTITIONS: i32 = 3;
const BAD: Uuid = Uuid::from_u128(0xbad);
const WAIT: Duration = Duration::from_mins(1);

/// A command, or a question, that was spoiled.
pub(super) fn commands(bytes: &[u8]) {
    in_memory(async |fleet| {
        let id = Uuid::from_u128(1);
        let mut record = match bytes.first() {
            Some(0..100) => {
                command_record::<CustomerCommand>(
                    &fleet,
                    &VerifyCustomer { customer_id: id }.into(),
                )
                .await
            }
            Some(100..130) => command_record(&fleet, &AskCustomerState { customer_id: id }).await,
            _ => {
                let email = "ada@example.com".to_owned();
                command_record::<CustomerCommand>(
                    &fleet,
                    &InviteCustomer { customer_id: id, email }.into(),
                )
                .await
            }
        };
        let is_question = matches!(bytes.first(), Some(100..130));
        spoil(&mut record, bytes.get(1..).unwrap_or_default());
        let (part, payload) = (record.part, record.payload.clone());
        let offset = fleet.log.append(record);
        let _handler = fleet.handler::<Customers>();
        let good = stream_in(part, 1);
        invited(&fleet, good).await;
        let rows = fleet.store.ledger_rows("customers");
        let row = rows.iter().find(|it| it.part == part).expect("a partition in the ledger");
        assert!(row.next_offset > offset, "it is passed");
        let letters = fleet.store.dead_letters("customers");
        let decided = fleet.store.outcomes("customers").len() - 1;
        // A question leaves nothing behind, if it still is one. So does a request to publish again, and no command can be spoiled into one: its schema is in
        // no frame of this fleet.
        let left = letters.len().max(decided);
        assert!(left == 1 || (left == 0 && is_question), "{left}: {letters:?}");
        for it in letters {
            assert_eq!((it.part, it.offset, it.payload), (part, offset, Some(payload.clone())));
        }
    });
}

/// An event that was spoiled, or that nobody decided, on a fleet that is up. What is in the log is believed where it
/// can be read; what cannot be read stops nobody.
pub(super) fn events(bytes: &[u8]) {
    in_memory(async |fleet| {
        let _services = (fleet.handler::<Customers>(), fleet.aggregator::<Customers>());
        let part = partition_of(Uuid::from_u128(1), PARTITIONS);
        let mut record = event_record(&fleet, part).await;
        spoil(&mut record, bytes);
        let elsewhere = (record.part + 1) % PARTITIONS;
        shown(&fleet, stream_in(elsewhere, 1)).await;
        fleet.log.append(record);
        shown(&fleet, stream_in(elsewhere, 2)).await;
    });
}

/// Invites somebody, who must be shown.
async fn shown(fleet: &Fleet, customer_id: Uuid) {
    let seen = invited(fleet, customer_id).await;
    let client = fleet.client::<Customers>();
    let query = Query::keys::<views::Customer>([customer_id]);
    let rows = client.read::<views::Customer>(query, &seen, WAIT).await.expect("is shown");
    assert_eq!(rows.rows.len(), 1);
}

fn in_memory(test: impl AsyncFnOnce(Fleet)) {
    // Time passes as soon as everybody waits.
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().expect("a runtime");
    let options = FleetOptions { partitions: PARTITIONS, ..FleetOptions::default() };
    let fleet = async { test(Fleet::new(options, Clock::system())).await };
    LocalSet::new().block_on(&runtime, fleet);
}

/// Invites somebody, which must succeed; where that is.
async fn invited(fleet: &Fleet, customer_id: Uuid) -> Position {
    let client = fleet.client::<Customers>();
    let command_id = Uuid::from_u128(0x900d_0000 + customer_id.as_u128());
    let envelope = Envelope {
        command_id,
        correlation: command_id,
        traceparent: None,
        actor: None,
        expected_version: None,
        deadline: WAIT,
    };
    let command = InviteCustomer { customer_id, email: format!("{customer_id}@x.org") };
    let answer = client.command(&CustomerCommand::from(command), envelope).await;
    let answer = answer.expect("an answer to a good command");
    assert_eq!(answer.rejection, None);
    answer.position
}

/// The nth stream of a partition, but for the first of all.
fn stream_in(part: i32, n: usize) -> Uuid {
    let all = (2..1000).map(Uuid::from_u128);
    all.filter(|it| partition_of(*it, PARTITIONS) == part).nth(n).expect("a stream")
}

/// Edits of three bytes each; what is left goes to the end of the body.
fn spoil(record: &mut Outgoing, bytes: &[u8]) {
    let (count, bytes) = bytes.split_first().map_or((0, bytes), |(it, rest)| (it % 8, rest));
    let mut left = bytes;
    for _ in 0..count {
        let [what, at, value, rest @ ..] = left else { break };
        edit(record, *what, usize::from(*at), *value);
        left = rest;
    }
    record.payload.extend_from_slice(left);
}

fn edit(record: &mut Outgoing, what: u8, at: usize, value: u8) {
    let Outgoing { part, key, headers, payload, .. } = record;
    let within = |length: usize| at % length.max(1);
    match what % 10 {
        0 => payload.truncate(at),
        1 => payload.insert(at.min(payload.len()), value),
        2 | 3 => set(payload, at, value),
        4 => set(key, at, value),
        5 => key.truncate(at),
        6 => *part = i32::from(value) % PARTITIONS,
        7 if !headers.is_empty() => drop(headers.remove(within(headers.len()))),
        8 => copy(headers, at, value),
        _ => {
            let index = within(headers.len());
            if let Some((_, text)) = headers.get_mut(index) {
                let at = usize::from(value) % text.len().max(1);
                set(text, at, value);
            }
        }
    }
}

fn set(bytes: &mut [u8], at: usize, value: u8) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte = value;
    }
}

/// One header says what another says.
fn copy(headers: &mut RawHeaders, from: usize, to: u8) {
    let to = usize::from(to) % headers.len().max(1);
    if let Some((_, text)) = headers.get(from).cloned()
        && let Some(it) = headers.get_mut(to)
    {
        it.1 = text;
    }
}

async fn command_record<M: Message>(fleet: &Fleet, command: &M) -> Outgoing {
    let schema = command.record();
    let headers = CommandHeaders {
        id: BAD,
        record: schema.name().to_owned(),
        source: "nobody".to_owned(),
        time: Clock::system().now(),
        fingerprint: schema.fingerprint(),
        correlation: BAD,
        causation: None,
        traceparent: None,
        actor: None,
        expected_version: None,
        reply_to: Some(ReplyTo { partition: 0, instance: "nobody".to_owned() }),
    };
    let part = partition_of(command.stream(), PARTITIONS);
    record_of(fleet, command, part, headers.write()).await
}

async fn event_record(fleet: &Fleet, part: i32) -> Outgoing {
    let stream = Uuid::from_u128(1);
    let event = CustomerInvited { customer_id: stream, email: "ada@example.com".to_owned() };
    let event = CustomerEvent::from(event);
    let headers = EventHeaders {
        id: BAD,
        record: event.record().name().to_owned(),
        source: "nobody".to_owned(),
        time: Clock::system().now(),
        fingerprint: event.record().fingerprint(),
        correlation: BAD,
        causation: BAD,
        traceparent: None,
        actor: None,
        stream,
        pseq: 1,
        version: 1,
        incarnation: 1,
    };
    record_of(fleet, &event, part, headers.write()).await
}

async fn record_of<M: Message>(
    fleet: &Fleet,
    message: &M,
    part: i32,
    headers: RawHeaders,
) -> Outgoing {
    let (family, schema) = (M::family(), message.record());
    let codec = Codec::new(fleet.registry.clone());
    let id = codec.id(family.topic, schema.name(), schema.fingerprint(), schema.json()).await;
    let mut datum = Vec::new();
    message.encode(&mut datum).expect("a good message");
    Outgoing {
        topic: Arc::from(family.topic),
        part,
        key: message.stream().to_string().into_bytes(),
        headers,
        payload: frame::frame(id.expect("a registry"), &datum),
    }
}
