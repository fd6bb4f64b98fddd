//! Clients that send mutations without a pause, and each of them again with the same command id until it is answered.
#![expect(clippy::unwrap_used, reason = "only tests call this")]
use crate::{
    client::whole_mutation,
    server::{Answer, PATIENCE, Server, until_some},
};
use ::fleet::stack::Stopwatch;
use serde_json::{Value, json};
use shell::{ids, position::Position};
use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio::{
    task::JoinHandle,
    time::{Interval, interval},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const CLIENTS: usize = 3;
/// Between two mutations of a client.
const PACE: Duration = Duration::from_millis(40);
/// A request that is not answered in this time is given up, and sent again.
const REQUEST: Duration = Duration::from_secs(8);

/// What a client was told about one command.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) command_id: Uuid,
    pub(crate) customer: Value,
    /// Whether something happened: not if the customer was there already.
    pub(crate) happened: bool,
    client: usize,
    sent: Duration,
    took: Duration,
}

/// All that the clients were told.
pub(crate) struct Story {
    pub(crate) told: Vec<Told>,
    /// Where the clients have been.
    pub(crate) position: Position,
}

/// Clients at work; dropping it ends them.
pub(crate) struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

struct Shared {
    watch: Stopwatch,
    stop: CancellationToken,
    story: Mutex<Story>,
    /// When attempts had no answer, and why.
    failed: Mutex<Vec<(Duration, String)>>,
}

impl Shared {
    fn story(&self) -> MutexGuard<'_, Story> {
        self.story.lock().unwrap()
    }
}

impl Load {
    /// Every client goes round all these servers.
    pub(crate) fn start(servers: &[Server]) -> Self {
        let story = Story { told: Vec::new(), position: Position::new() };
        let shared = Arc::new(Shared {
            watch: Stopwatch::start(),
            stop: CancellationToken::new(),
            story: Mutex::new(story),
            failed: Mutex::default(),
        });
        let client = |number| Client {
            number,
            servers: servers.to_vec(),
            turn: number,
            position: Position::new(),
            pulse: interval(PACE),
            shared: Arc::clone(&shared),
        };
        let clients = (0..CLIENTS).map(|number| tokio::spawn(client(number).run())).collect();
        Self { shared, clients }
    }

    pub(crate) fn now(&self) -> Duration {
        self.shared.watch.took()
    }

    /// Waits until each client has been answered several times what it sent after `since`; how long after it.
    pub(crate) async fn goes_on(&self, since: Duration) -> Duration {
        let go_on = async || {
            assert!(!self.clients.iter().any(JoinHandle::is_finished), "a client has ended");
            let story = self.shared.story();
            let ends = (0..CLIENTS).map(|client| {
                let mine = story.told.iter().filter(|it| it.client == client && it.sent >= since);
                mine.map(|it| it.sent + it.took).nth(ANSWERS - 1)
            });
            ends.collect::<Option<Vec<_>>>()?.into_iter().max()
        };
        until_some("mutations are answered", go_on).await.saturating_sub(since)
    }

    /// The longest that a mutation took, of those that were answered after `since`.
    pub(crate) fn longest(&self, since: Duration) -> Duration {
        let story = self.shared.story();
        let late = story.told.iter().filter(|it| it.sent + it.took >= since);
        late.map(|it| it.took).max().unwrap_or_default()
    }

    /// Why attempts after `since` had no answer.
    pub(crate) fn failed(&self, since: Duration) -> Vec<String> {
        let failed = self.shared.failed.lock().unwrap();
        failed.iter().filter(|(at, _)| *at >= since).map(|(_, why)| why.clone()).collect()
    }

    /// Ends the clients, each after the answer that it waits for.
    pub(crate) async fn stop(mut self) -> Story {
        self.shared.stop.cancel();
        for it in &mut self.clients {
            it.await.unwrap();
        }
        let mut story = self.shared.story();
        Story { told: std::mem::take(&mut story.told), position: story.position.clone() }
    }
}

const ANSWERS: usize = 5;

impl Drop for Load {
    fn drop(&mut self) {
        self.clients.iter().for_each(JoinHandle::abort);
    }
}

struct Client {
    number: usize,
    servers: Vec<Server>,
    turn: usize,
    position: Position,
    pulse: Interval,
    shared: Arc<Shared>,
}

impl Client {
    async fn run(mut self) {
        for n in 0.. {
            let email = format!("c{}-{n}@example.com", self.number);
            let customer = self.mutate("inviteCustomer", json!({ "email": email })).await;
            let id = customer["id"].clone();
            assert_eq!(customer["email"], email);
            match n % 4 {
                0 => drop(self.mutate("verifyCustomer", json!({ "customerId": id })).await),
                1 => {
                    let input = json!({ "customerId": id, "email": format!("new-{email}") });
                    let customer = self.mutate("changeCustomerEmail", input).await;
                    assert_eq!((&customer["version"], &customer["id"]), (&json!(2), &id));
                }
                2 => drop(self.mutate("removeCustomer", json!({ "customerId": id })).await),
                // All clients want this one.
                _ => {
                    let email = format!("everybody-{n}@example.com");
                    self.mutate("inviteCustomer", json!({ "email": email })).await;
                }
            }
            if self.shared.stop.is_cancelled() {
                return;
            }
        }
    }

    /// The customer after the mutation, which is sent until it is answered.
    async fn mutate(&mut self, field: &str, mut input: Value) -> Value {
        let command_id = ids::new_id();
        input["commandId"] = json!(command_id);
        let body = whole_mutation(field, &input);
        let sent = self.shared.watch.took();
        loop {
            self.pulse.tick().await;
            self.turn += 1;
            match self.attempt(&body).await {
                Ok(answer) => {
                    let payload = &answer.body["data"][field];
                    let took = self.shared.watch.took().saturating_sub(sent);
                    let told = Told {
                        command_id,
                        customer: payload["customer"].clone(),
                        happened: payload["outcome"] != "ALREADY_INVITED",
                        client: self.number,
                        sent,
                        took,
                    };
                    assert_eq!(payload["commandId"], json!(command_id));
                    let customer = told.customer.clone();
                    let mut story = self.shared.story();
                    story.told.push(told);
                    story.position.merge(&self.position);
                    return customer;
                }
                Err(why) => {
                    let now = self.shared.watch.took();
                    assert!(now < sent + PATIENCE, "no answer to {field} {command_id}: {why}");
                    self.shared.failed.lock().unwrap().push((now, why));
                }
            }
        }
    }

    /// The error says why it has to be sent again.
    async fn attempt(&mut self, body: &Value) -> Result<Answer, String> {
        let server = &self.servers[self.turn % self.servers.len()];
        let mut request = server.post(body).timeout(REQUEST);
        if !self.position.is_empty() {
            request = request.header("Flotilla-Position", self.position.to_string());
        }
        let response = request.send().await.map_err(|error| error.to_string())?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.json().await.map_err(|error| error.to_string())?;
        let answer = Answer { status, headers, body };
        if answer.body.get("errors").is_some() {
            let code = answer.code();
            let again = ["PENDING", "UNAVAILABLE", "REBUILDING"].contains(&code);
            assert!(again, "{}", answer.body);
            return Err(format!("{code}: {}", answer.message()));
        }
        let position = answer.header("flotilla-position").expect("a position");
        self.position.merge(&position.parse().unwrap());
        Ok(answer)
    }
}
