//! The whole write and read side in memory: what a client is promised, and what the tests do to it.
use chrono::{DateTime, TimeDelta, Utc};
use customers::{
    Customers,
    views::{Customer, InvitationsPerDay},
};
use functions::{Context, Message, View};
use futures::future::{BoxFuture, join_all};
use shared_events::{
    customers::{CustomerCommand, InviteCustomer, VerifyCustomer},
    fleet::Verdict,
    frame,
    headers::CommandHeaders,
};
use shell::{
    Client,
    client::{Answer, CommandError, CommandStatus, Envelope},
    clock::{Clock, Time},
    codec::Codec,
    memory::{Fleet, FleetOptions},
    partition::partition_of,
    port::log::Outgoing,
    position::Position,
    reads::{Query, Rows},
};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use uuid::Uuid;

pub(crate) const WAIT: Duration = Duration::from_secs(5);
/// The namespace is empty in memory.
pub(crate) const COMMANDS: &str = "customers.commands";
pub(crate) const EVENTS: &str = "customers.events";
pub(crate) const REPLIES: &str = "replies";
pub(crate) const HANDLERS: &str = "customers.handler";

/// Runs a test on one thread with a clock that jumps as soon as everybody waits.
pub(crate) fn run(test: impl AsyncFnOnce(Fleet)) {
    run_with(FleetOptions::default(), test);
}

pub(crate) fn run_with(options: FleetOptions, test: impl AsyncFnOnce(Fleet)) {
    run_at(options, |_| (), async |fleet, ()| test(fleet).await);
}

/// Also hands out the clock, by which days can pass.
pub(crate) fn run_in_time(test: impl AsyncFnOnce(Fleet, TestTime)) {
    run_at(FleetOptions::default(), Clone::clone, test);
}

fn run_at<T>(
    options: FleetOptions,
    with: impl FnOnce(&TestTime) -> T,
    test: impl AsyncFnOnce(Fleet, T),
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let time = TestTime::new();
        let with = with(&time);
        test(Fleet::new(options, Clock::new(time)), with).await;
    });
}

/// A wall clock that goes as the runtime's, and can be put forward.
#[derive(Clone)]
pub(crate) struct TestTime {
    begun: tokio::time::Instant,
    ahead: Arc<Mutex<TimeDelta>>,
}

impl TestTime {
    fn new() -> Self {
        Self { begun: tokio::time::Instant::now(), ahead: Arc::default() }
    }

    pub(crate) fn pass(&self, time: TimeDelta) {
        *self.ahead.lock().unwrap() += time;
    }
}

impl Time for TestTime {
    fn now(&self) -> DateTime<Utc> {
        let noon = DateTime::from_timestamp(1_800_014_400, 0).unwrap();
        noon + self.begun.elapsed() + *self.ahead.lock().unwrap()
    }

    fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(Clock::system().sleep_owned(duration))
    }
}

trait SleepOwned {
    fn sleep_owned(self, duration: Duration) -> impl Future<Output = ()> + Send + 'static;
}

impl SleepOwned for Clock {
    async fn sleep_owned(self, duration: Duration) {
        self.sleep(duration).await;
    }
}

/// Waits until something is so; fails with what it waited for after a minute of the runtime's time.
#[track_caller]
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) -> impl Future<Output = ()> {
    let place = std::panic::Location::caller();
    async move {
        let clock = Clock::system();
        while !is_so() {
            assert!(clock.elapsed() < Duration::from_mins(1), "never: {what} ({place})");
            clock.sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Lets so much of the runtime's time pass: for what should not happen meanwhile.
pub(crate) async fn pass(time: Duration) {
    Clock::system().sleep(time).await;
}

pub(crate) fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

/// The `n`th of those streams that live in a partition.
pub(crate) fn id_in(part: i32, n: usize) -> u128 {
    (1..).filter(|it| partition_of(id(*it), 3) == part).nth(n).unwrap()
}

pub(crate) fn envelope(client: &Client) -> Envelope {
    envelope_of(client.new_id())
}

pub(crate) fn envelope_of(command_id: Uuid) -> Envelope {
    Envelope {
        command_id,
        correlation: command_id,
        traceparent: None,
        actor: None,
        expected_version: None,
        deadline: WAIT,
    }
}

pub(crate) async fn send(
    client: &Client,
    command: impl Into<CustomerCommand>,
) -> Result<Answer, CommandError> {
    client.command(&command.into(), envelope(client)).await
}

/// Sends a command under this id.
pub(crate) async fn send_as(
    client: &Client,
    command_id: Uuid,
    command: impl Into<CustomerCommand>,
) -> Answer {
    client.command(&command.into(), envelope_of(command_id)).await.unwrap()
}

/// Sends a command that must be accepted.
pub(crate) async fn accepted(client: &Client, command: impl Into<CustomerCommand>) -> Answer {
    let answer = send(client, command).await.unwrap();
    assert_eq!((answer.verdict, &answer.rejection), (Verdict::Accepted, &None));
    answer
}

/// So many invitations at once, one every few milliseconds; each has half a minute.
pub(crate) async fn load(
    client: &Client,
    from: u128,
    count: u128,
) -> Vec<Result<Answer, CommandError>> {
    let one = |n: u128| async move {
        pass(Duration::from_millis(u64::try_from(n * 3).unwrap())).await;
        let command: CustomerCommand = invite(from + n, &format!("{}@x.org", from + n)).into();
        let deadline = Duration::from_secs(30);
        let envelope = Envelope { deadline, ..envelope_of(client.new_id()) };
        client.command(&command, envelope).await
    };
    join_all((0..count).map(one)).await
}

/// All of them accepted, once each.
#[track_caller]
pub(crate) fn all_accepted(answers: &[Result<Answer, CommandError>]) {
    for it in answers {
        let it = it.as_ref().unwrap();
        assert_eq!((it.verdict, it.version), (Verdict::Accepted, 1), "{it:?}");
    }
}

pub(crate) fn invite(n: u128, email: &str) -> InviteCustomer {
    InviteCustomer { customer_id: id(n), email: email.to_owned() }
}

pub(crate) fn code(answer: &Answer) -> &str {
    answer.rejection.as_ref().map_or("", |it| &it.code)
}

pub(crate) async fn rows<V: View>(client: &Client, query: Query, seen: &Position) -> Rows<V> {
    client.read::<V>(query, seen, WAIT).await.unwrap()
}

pub(crate) async fn customer(client: &Client, n: u128, seen: &Position) -> Option<Customer> {
    let query = Query::keys::<Customer>([id(n)]);
    rows::<Customer>(client, query, seen).await.rows.into_iter().next()
}

/// All that happened in a context.
pub(crate) fn events_of<C: Context>(fleet: &Fleet) -> usize {
    fleet.store.events(C::NAME).len()
}

/// A command as its sender puts it on the topic, under an id of its own; nobody waits for a reply.
pub(crate) async fn record_of<M: Message>(fleet: &Fleet, command: &M, id: Uuid) -> Outgoing {
    let (family, schema, stream) = (M::family(), command.record(), command.stream());
    let codec = Codec::new(fleet.registry.clone());
    let registered = codec.id(family.topic, schema.name(), schema.fingerprint(), schema.json());
    let schema_id = registered.await.unwrap();
    let mut datum = Vec::new();
    command.encode(&mut datum).unwrap();
    let headers = CommandHeaders {
        id,
        record: schema.name().to_owned(),
        source: "tests".to_owned(),
        time: DateTime::UNIX_EPOCH,
        fingerprint: schema.fingerprint(),
        correlation: id,
        causation: None,
        traceparent: None,
        actor: None,
        expected_version: None,
        reply_to: None,
    };
    Outgoing {
        topic: Arc::from(family.topic),
        part: partition_of(stream, 3),
        key: stream.to_string().into_bytes(),
        headers: headers.write(),
        payload: frame::frame(schema_id, &datum),
    }
}

/// What became of a command; waits until that is known.
pub(crate) async fn outcome(client: &Client, context: &str, command_id: Uuid) -> Answer {
    let clock = Clock::system();
    loop {
        if let CommandStatus::Decided(answer) = client.status(context, command_id).await.unwrap() {
            return answer;
        }
        assert!(clock.elapsed() < Duration::from_mins(1), "{command_id} is never decided");
        clock.sleep(Duration::from_millis(5)).await;
    }
}

/// Numbers that look random and are the same for the same seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut it = self.0;
        it = (it ^ (it >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        it ^ (it >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn id(&mut self) -> Uuid {
        Uuid::from_u64_pair(self.next(), self.next())
    }
}

#[test]
fn a_command_becomes_a_row_that_its_sender_sees() {
    run(async |fleet| {
        let _services = (fleet.handler::<Customers>(), fleet.aggregator::<Customers>());
        let client = fleet.client::<Customers>();
        let answer = send(&client, invite(1, "ada@example.com")).await.unwrap();
        assert_eq!((answer.verdict, answer.version), (Verdict::Accepted, 1));
        let row = customer(&client, 1, &answer.position).await.unwrap();
        assert_eq!((row.email.as_str(), row.version), ("ada@example.com", 1));
        let answer = send(&client, VerifyCustomer { customer_id: id(1) }).await.unwrap();
        let row = customer(&client, 1, &answer.position).await.unwrap();
        assert!(row.verified_at.is_some());
        let days =
            rows::<InvitationsPerDay>(&client, Query::default(), &answer.position).await.rows;
        assert_eq!((days.len(), days[0].invited, days[0].verified), (1, 1, 1));
    });
}
