//! Clients: each sends one request after another, and a command again until it is answered.
use super::{cluster::Cluster, follower::Copy, plan::Plan, random::Random, scheduler::Life};
use crate::proof::{Anomaly, Asked, Call, ReadRow, State, Stated, Told, Vantage};
use customers::views::Customer;
use shared_events::customers::{
    AskCustomerState, ChangeCustomerEmail, CustomerCommand, InviteCustomer, RemoveCustomer,
    VerifyCustomer,
};
use shell::{
    Client,
    client::{Answer, CommandError, Envelope, Fact, FactError},
    partition::partition_of,
    position::Position,
    reads::{Query, ReadError},
};
use std::{cell::RefCell, rc::Rc, time::Duration};
use tokio::sync::oneshot;
use uuid::Uuid;

/// What the clients of a run saw.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) calls: Vec<Call>,
    pub(super) anomalies: Vec<Anomaly>,
    /// Clients that are done.
    pub(super) done: usize,
    /// What is shown by who follows what changes.
    pub(super) copy: Copy,
}

/// One of them.
pub(super) struct Caller {
    number: usize,
    plan: Rc<Plan>,
    random: Random,
    cluster: Rc<Cluster>,
    seen: Rc<RefCell<Seen>>,
    position: Position,
}

impl Caller {
    pub(super) fn new(
        number: usize,
        plan: &Rc<Plan>,
        cluster: &Rc<Cluster>,
        seen: &Rc<RefCell<Seen>>,
    ) -> Self {
        Self {
            number,
            plan: Rc::clone(plan),
            random: Random::new(plan.seed, 100 + number as u64),
            cluster: Rc::clone(cluster),
            seen: Rc::clone(seen),
            position: Position::new(),
        }
    }

    pub(super) async fn run(mut self) {
        let thinking = Duration::from_micros(self.plan.thinking_us);
        for _ in 0..self.plan.commands / self.plan.clients {
            self.cluster.kernel.sleep(self.random.up_to(thinking)).await;
            let command = self.command();
            let id = shared_events::Message::stream(&command);
            self.send(command).await;
            match self.random.below(4) {
                0 | 1 => {
                    let other = self.customer();
                    self.read(vec![id, other]).await;
                }
                2 => {
                    let other = self.customer();
                    self.ask_about(other).await;
                }
                _ => {}
            }
        }
        self.seen.borrow_mut().done += 1;
    }

    /// Once nothing goes wrong any more: a command in each partition, its position, and a question are answered.
    pub(super) async fn probe(mut self) {
        for part in 0..self.plan.partitions {
            let ids = (1..).map(Uuid::from_u128);
            let of_part = |id: &Uuid| partition_of(*id, self.plan.partitions) == part;
            let Some(customer_id) = ids.take(PROBES_MAX).find(of_part) else { continue };
            self.send(VerifyCustomer { customer_id }.into()).await;
            self.read(vec![customer_id]).await;
            self.ask_about(customer_id).await;
            let is_open = |it: &Call| it.ended.is_none();
            let open = self.seen.borrow().calls.iter().rev().take(3).any(is_open);
            if open {
                let seen = format!("partition {part} does not answer");
                self.anomaly("what is pending is done once nothing goes wrong", seen);
            }
        }
    }

    fn customer(&mut self) -> Uuid {
        Uuid::from_u128(1 + u128::from(self.random.below(self.plan.customers)))
    }

    fn command(&mut self) -> CustomerCommand {
        let customer_id = self.customer();
        let letter = if self.random.below(4) == 0 { "E" } else { "e" };
        let email = format!("{letter}{}@example.com", self.random.below(self.plan.emails));
        match self.random.below(20) {
            0..9 => InviteCustomer { customer_id, email }.into(),
            9..13 => VerifyCustomer { customer_id }.into(),
            13..18 => ChangeCustomerEmail { customer_id, email }.into(),
            _ => RemoveCustomer { customer_id }.into(),
        }
    }

    /// Sends a command until it is answered; sometimes once more after that, for the same answer.
    async fn send(&mut self, command: CustomerCommand) {
        let command_id = self.random.id();
        let begun = self.cluster.kernel.now();
        let told = self.answer(&command, command_id).await;
        let ended = told.as_ref().map(|_| self.cluster.kernel.now());
        self.cluster.gremlin.timeline.note(self.cluster.kernel.now(), || {
            let said = told.as_ref().map_or_else(|| "no answer".to_owned(), said);
            (format!("client {}", self.number), format!("{}: {said}", short(&command, command_id)))
        });
        if let Some(first) = &told {
            self.position.merge(&first.position);
            if self.random.below(10) == 0
                && let Some(second) = self.answer(&command, command_id).await
                && (&first.code, first.holder, first.version)
                    != (&second.code, second.holder, second.version)
            {
                self.anomaly(
                    "a command has one answer",
                    format!("{command_id}: {} and then {}", said(first), said(&second)),
                );
            }
        }
        let asked = Asked::Command { command_id, command, told };
        self.seen.borrow_mut().calls.push(Call { client: self.number, begun, ended, asked });
    }

    async fn answer(&mut self, command: &CustomerCommand, command_id: Uuid) -> Option<Told> {
        let give_up = self.cluster.kernel.now() + PATIENCE;
        while self.cluster.kernel.now() < give_up {
            let deadline = Duration::from_millis(500 + self.random.below(4000));
            let envelope = Envelope {
                command_id,
                correlation: command_id,
                traceparent: None,
                actor: None,
                expected_version: None,
                deadline,
            };
            let command = command.clone();
            let ask = async move |bff: Client| bff.command(&command, envelope).await;
            match self.ask(ask).await {
                Some(Ok(answer)) => return Some(told(answer)),
                Some(Err(
                    CommandError::Pending { .. }
                    | CommandError::Unavailable(_)
                    | CommandError::Overloaded { .. },
                ))
                | None => {
                    let pause = self.random.up_to(Duration::from_millis(300));
                    self.cluster.kernel.sleep(pause).await;
                }
                Some(Err(error)) => {
                    self.anomaly("a sound command is sent", error.to_string());
                    return None;
                }
            }
        }
        None
    }

    async fn read(&mut self, ids: Vec<Uuid>) {
        let begun = self.cluster.kernel.now();
        let seen = self.position.clone();
        let (query, position) = (Query::keys::<Customer>(ids.iter().copied()), seen.clone());
        let wait = if self.cluster.gremlin.is_calm() {
            READ_MAX
        } else {
            self.random.up_to(Duration::from_secs(3))
        };
        let ask = async move |bff: Client| bff.read::<Customer>(query, &position, wait).await;
        let told = match self.ask(ask).await {
            Some(Ok(rows)) => {
                self.position.merge(&rows.position);
                let row =
                    |it: Customer| ReadRow { id: it.id, version: it.version, email: it.email };
                let position = rows.position;
                Some(Vantage { rows: rows.rows.into_iter().map(row).collect(), position })
            }
            Some(Err(ReadError::Failed(why))) => {
                self.anomaly("a position that was given out is honoured", why);
                None
            }
            Some(Err(_)) | None => None,
        };
        let ended = told.as_ref().map(|_| self.cluster.kernel.now());
        let asked = Asked::Read { seen, ids, told };
        self.seen.borrow_mut().calls.push(Call { client: self.number, begun, ended, asked });
    }

    async fn ask_about(&mut self, customer_id: Uuid) {
        let begun = self.cluster.kernel.now();
        let question_id = self.random.id();
        let deadline = if self.cluster.gremlin.is_calm() {
            READ_MAX
        } else {
            Duration::from_millis(500 + self.random.below(4000))
        };
        let envelope = Envelope {
            command_id: question_id,
            correlation: question_id,
            traceparent: None,
            actor: None,
            expected_version: None,
            deadline,
        };
        let ask = async move |bff: Client| {
            bff.ask::<customers::Customer, _>(&AskCustomerState { customer_id }, envelope).await
        };
        let told = match self.ask(ask).await {
            Some(Ok(Fact { answer, position })) => {
                self.position.merge(&position);
                let state = answer.map(|it| State {
                    status: it.status,
                    email: it.email,
                    version: it.version,
                });
                Some(Stated { state, position })
            }
            Some(Err(error @ (FactError::Refused(_) | FactError::Invalid(_)))) => {
                self.anomaly("a sound question is answered", error.to_string());
                None
            }
            Some(Err(FactError::Unavailable(_) | FactError::Unanswered)) | None => None,
        };
        let ended = told.as_ref().map(|_| self.cluster.kernel.now());
        self.cluster.gremlin.timeline.note(self.cluster.kernel.now(), || {
            let said = told.as_ref().map(|it| match &it.state {
                Some(it) => format!("{:?} {:?}, version {}", it.status, it.email, it.version),
                None => "nobody".to_owned(),
            });
            let said = said.unwrap_or_else(|| "no answer".to_owned());
            let asked = format!("question about {}: {said}", customer_id.as_u128());
            (format!("client {}", self.number), asked)
        });
        let asked = Asked::Fact { id: customer_id, told };
        self.seen.borrow_mut().calls.push(Call { client: self.number, begun, ended, asked });
    }

    /// Has one of the BFFs do something; `None` if it ends meanwhile, or takes for ever.
    async fn ask<T: 'static>(&mut self, act: impl AsyncFnOnce(Client) -> T + 'static) -> Option<T> {
        let (who, bff) = self.cluster.bff(&mut self.random)?;
        if self.cluster.kernel.life(who) == Life::Dead {
            return None;
        }
        let (answer, answered) = oneshot::channel();
        self.cluster.spawner.spawn(who, async move { drop(answer.send(act(bff).await)) });
        let patience = if self.cluster.gremlin.is_calm() { 2 * READ_MAX } else { REQUEST_MAX };
        let timeout = self.cluster.kernel.sleep(patience);
        match futures::future::select(answered, timeout).await {
            futures::future::Either::Left((answer, _)) => answer.ok(),
            futures::future::Either::Right(((), _)) => None,
        }
    }

    fn anomaly(&self, promise: &'static str, seen: String) {
        self.seen.borrow_mut().anomalies.push(Anomaly { promise, seen });
    }
}

fn told(answer: Answer) -> Told {
    let Answer { version, rejection, position, .. } = answer;
    let holder = rejection.as_ref().and_then(|it| it.details["customer_id"].as_str()?.parse().ok());
    Told { code: rejection.map(|it| it.code), holder, version: Some(version), position }
}

fn said(told: &Told) -> String {
    let what = told.code.as_deref().unwrap_or("accepted");
    let holder = told.holder.map(|it| format!(" by customer {}", it.as_u128()));
    let version = told.version.unwrap_or_default();
    format!("{what}{}, version {version}", holder.unwrap_or_default())
}

/// A command in a few words.
pub(super) fn short(command: &CustomerCommand, command_id: Uuid) -> String {
    let id = command_id.simple().to_string();
    let (what, customer, email) = match command {
        CustomerCommand::InviteCustomer(it) => ("invite", it.customer_id, it.email.as_str()),
        CustomerCommand::VerifyCustomer(it) => ("verify", it.customer_id, ""),
        CustomerCommand::ChangeCustomerEmail(it) => ("change", it.customer_id, it.email.as_str()),
        CustomerCommand::RemoveCustomer(it) => ("remove", it.customer_id, ""),
    };
    format!("command {} ({what} {} {email})", id.get(..8).unwrap_or(&id), customer.as_u128())
}

/// Ids are spread evenly: far fewer than these reach every partition.
const PROBES_MAX: usize = 1000;
const PATIENCE: Duration = Duration::from_mins(2);
/// What was lost is looked for every 10 s.
const READ_MAX: Duration = Duration::from_secs(20);
const REQUEST_MAX: Duration = Duration::from_secs(8);
