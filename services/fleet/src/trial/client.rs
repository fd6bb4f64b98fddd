//! A client: asks without a pause, and asks again until it is answered.
use super::{
    dice::Dice,
    ground::Bffs,
    record::Record,
    request::{Done, Ending, Mutation, read},
};
use crate::proof::{Asked, Call, Told};
use shared_events::customers::{
    ChangeCustomerEmail, CustomerCommand, InviteCustomer, RemoveCustomer, VerifyCustomer,
};
use shell::{ids, position::Position};
use std::{sync::Arc, time::Duration};
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Between two requests of a client.
const PACE: Duration = Duration::from_millis(40);
/// Addresses that all clients want.
const WANTED: u64 = 8;
/// So many customers are one client's own.
const OWN: usize = 20;

/// When clients are to end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop {
    /// After the answer that they wait for.
    pub(crate) soon: CancellationToken,
    /// Now, without it.
    pub(crate) now: CancellationToken,
}

/// One client.
pub(crate) struct Client {
    number: usize,
    dice: Dice,
    bffs: Bffs,
    http: reqwest::Client,
    /// All that it has seen.
    seen: Position,
    /// Customers that nobody else knows.
    own: Vec<Uuid>,
    pulse: Interval,
    record: Arc<Record>,
    stop: Stop,
}

/// A command as a client means it.
struct Intent {
    command: CustomerCommand,
    /// An invitation that says which id the customer is to have.
    names_customer: bool,
    /// Nobody else changes this customer.
    is_own: bool,
}

impl Client {
    pub(crate) fn new(
        number: usize,
        dice: Dice,
        bffs: Bffs,
        record: Arc<Record>,
        stop: Stop,
    ) -> Self {
        let mut pulse = interval(PACE);
        pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (http, seen, own) = (reqwest::Client::new(), Position::new(), Vec::new());
        Self { number, dice, bffs, http, seen, own, pulse, record, stop }
    }

    /// Until it is to stop.
    pub(crate) async fn run(mut self) {
        while !self.stop.soon.is_cancelled() && !self.stop.now.is_cancelled() {
            self.pulse.tick().await;
            if self.dice.percent(30) {
                self.reads().await;
            } else {
                self.commands().await;
            }
        }
    }

    async fn reads(&mut self) {
        let own = (!self.own.is_empty()).then(|| *self.dice.one(&self.own));
        let common = self.record.common(&mut self.dice);
        let wanted = if self.dice.percent(50) { own.or(common) } else { common.or(own) };
        let id = wanted.unwrap_or_else(ids::new_id);
        let (begun, seen) = (self.record.now(), self.seen.clone());
        let server = self.bffs.one(&mut self.dice);
        let told = match read(&self.http, &server, id, &seen).await {
            Ending::Answered(it) => Some(it),
            Ending::Again { why, .. } => {
                self.record.failed(why);
                None
            }
            Ending::Wrong(what) => {
                self.record.anomaly("a query is answered, or may be asked again", what);
                None
            }
        };
        if let Some(it) = &told {
            self.saw(&it.position);
        }
        let ended = told.is_some().then(|| self.record.now());
        let asked = Asked::Read { seen, ids: vec![id], told };
        self.record.ends(Call { client: self.number, begun, ended, asked });
    }

    fn saw(&mut self, position: &Position) {
        self.seen.merge(position);
        self.record.story().seen.merge(position);
    }

    async fn commands(&mut self) {
        let command_id = ids::new_id();
        let Intent { command, names_customer, is_own } = self.intends(command_id);
        let shows_customer = self.dice.percent(40);
        let mutation = Mutation::new(command_id, &command, names_customer, shows_customer);
        let begun = self.record.now();
        self.record.story().waiting.insert(self.number, begun);
        let done = self.until_answered(command_id, &mutation).await;
        let ended = done.is_some().then(|| self.record.now());
        let told = done.map(|Done { told, row_version }| {
            // A row may be newer than what the command did, unless nobody else changes it.
            let version = row_version.filter(|_| is_own && told.code.is_none());
            Told { version, ..told }
        });
        if let Some(told) = &told {
            self.saw(&told.position);
            self.remembers(&command, is_own, told);
        }
        let again = told.clone().filter(|_| self.dice.percent(3));
        let asked = Asked::Command { command_id, command, told };
        self.record.ends(Call { client: self.number, begun, ended, asked });
        if let Some(before) = again {
            self.asks_again(command_id, &mutation, &before).await;
        }
    }

    fn intends(&mut self, command_id: Uuid) -> Intent {
        let own = (!self.own.is_empty()).then(|| *self.dice.one(&self.own));
        let common = self.record.common(&mut self.dice);
        let target = if self.dice.percent(60) { own.or(common) } else { common.or(own) };
        let what = self.dice.within(0..100);
        let Some(customer_id) = target.filter(|_| what >= 50) else {
            let email =
                if what.is_multiple_of(2) { self.new_email(command_id) } else { self.wanted() };
            let customer_id = ids::derived_id(command_id);
            let command = InviteCustomer { customer_id, email }.into();
            // An address that others want makes a customer that others may hear of first.
            return Intent { command, names_customer: false, is_own: what.is_multiple_of(2) };
        };
        let (command, names_customer): (CustomerCommand, bool) = match what {
            50..65 => (VerifyCustomer { customer_id }.into(), false),
            65..83 => {
                let email = if self.dice.percent(50) {
                    // Who is told that it is taken is told by whom, and may change that customer from then on.
                    self.own.retain(|own| *own != customer_id);
                    self.record.share(customer_id);
                    self.wanted()
                } else {
                    self.new_email(command_id)
                };
                (ChangeCustomerEmail { customer_id, email }.into(), false)
            }
            83..96 => (RemoveCustomer { customer_id }.into(), false),
            96 => {
                let customer_id = ids::derived_id(command_id);
                (InviteCustomer { customer_id, email: "nowhere".to_owned() }.into(), false)
            }
            _ => {
                let email = self.new_email(command_id);
                (InviteCustomer { customer_id, email }.into(), true)
            }
        };
        Intent { command, names_customer, is_own: self.own.contains(&customer_id) }
    }

    fn new_email(&self, command_id: Uuid) -> String {
        format!("c{}-{}@example.com", self.number, command_id.simple())
    }

    /// One that all clients want; as others do, not always in the same letters.
    fn wanted(&mut self) -> String {
        let n = self.dice.within(0..WANTED);
        if self.dice.percent(50) {
            format!("everybody-{n}@example.com")
        } else {
            format!("Everybody-{n}@Example.com")
        }
    }

    /// Sends a mutation until it is answered for good; `None`: it was given up.
    async fn until_answered(&mut self, command_id: Uuid, mutation: &Mutation) -> Option<Done> {
        let both = self.dice.percent(3);
        let gives_up = self.dice.percent(30);
        for attempt in 1.. {
            let server = self.bffs.one(&mut self.dice);
            let ending = tokio::select! {
                () = self.stop.now.cancelled() => return None,
                it = self.sends(mutation, &server, both && attempt == 1) => it,
            };
            match ending {
                Ending::Answered(done) => return Some(done),
                Ending::Again { why, refused } => {
                    self.record.failed(why);
                    // Only the first attempt: those before may have had an effect.
                    if refused && gives_up && attempt == 1 && !both {
                        self.record.story().refused.push(command_id);
                        return None;
                    }
                }
                Ending::Wrong(what) => {
                    let what = format!("command {command_id}: {what}");
                    self.record.anomaly("a mutation is answered, or may be sent again", what);
                    return None;
                }
            }
            self.pulse.tick().await;
        }
        None
    }

    /// Sends it once, or at the same time to all servers: then the first that answers counts.
    async fn sends(&self, mutation: &Mutation, server: &str, to_all: bool) -> Ending<Done> {
        if !to_all {
            return mutation.send(&self.http, server).await;
        }
        let all = self.bffs.all();
        let each = all.iter().map(|it| mutation.send(&self.http, it));
        let mut endings = futures::future::join_all(each).await;
        let answered = endings.iter().position(|it| matches!(it, Ending::Answered(_)));
        endings.swap_remove(answered.unwrap_or_default())
    }

    /// Whoever sends a command again gets the same answer.
    async fn asks_again(&mut self, command_id: Uuid, mutation: &Mutation, before: &Told) {
        let server = self.bffs.one(&mut self.dice);
        match mutation.send(&self.http, &server).await {
            Ending::Answered(Done { told, .. })
                if (&told.code, told.holder) == (&before.code, before.holder) => {}
            Ending::Again { why, .. } => self.record.failed(why),
            other => {
                let seen = format!("{command_id}: first {before:?}, then {other:?}");
                self.record.anomaly("a command sent again has the same answer", seen);
            }
        }
    }

    fn remembers(&mut self, command: &CustomerCommand, is_own: bool, told: &Told) {
        match (command, &told.code) {
            (CustomerCommand::InviteCustomer(it), None) if is_own => {
                if self.dice.percent(70) && self.own.len() < OWN {
                    self.own.push(it.customer_id);
                } else {
                    self.record.share(it.customer_id);
                }
            }
            (CustomerCommand::InviteCustomer(it), None) => self.record.share(it.customer_id),
            (CustomerCommand::InviteCustomer(_), Some(_)) => {
                if let Some(holder) = told.holder {
                    self.record.share(holder);
                }
            }
            (CustomerCommand::RemoveCustomer(it), _) if self.dice.percent(80) => {
                self.own.retain(|own| *own != it.customer_id);
            }
            _ => {}
        }
    }
}
