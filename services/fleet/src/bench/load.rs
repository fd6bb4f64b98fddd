//! Mutations over HTTP: one after another, at a rate, or as many as clients get answered.
use super::{
    commands::email,
    process::Process,
    schedule::{Schedule, wait_until},
};
use crate::stack::Stopwatch;
use anyhow::Context as _;
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use shell::ids;
use std::{sync::Arc, time::Duration};
use tokio::task::JoinSet;

/// What a mutation asks for besides its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Select {
    /// Whether it was accepted.
    Outcome,
    /// The row of the view, as it is after the mutation.
    View,
}

/// Sends invitations to a BFF. Cheap to clone.
#[derive(Clone)]
pub(super) struct Load {
    client: reqwest::Client,
    url: Arc<str>,
    select: Select,
}

/// How long the answers took, and how many there were.
pub(super) struct Answers {
    latencies: Histogram<u64>,
    pub(super) failed: u64,
    /// Why the first of those failed.
    pub(super) error: Option<String>,
    pub(super) per_second: f64,
}

/// How long a mutation took, or why it had no good answer.
type Told = (Duration, Result<(), String>);

impl Answers {
    fn new() -> anyhow::Result<Self> {
        let latencies = Histogram::new_with_bounds(1, 120_000_000, 3)?;
        Ok(Self { latencies, failed: 0, error: None, per_second: 0.0 })
    }

    fn add(&mut self, (took, answer): Told) {
        match answer {
            Ok(()) => {
                let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
                self.latencies.saturating_record(micros);
            }
            Err(error) => {
                self.failed += 1;
                self.error.get_or_insert(error);
            }
        }
    }

    /// Whether so many were answered that their latency says something: those that failed are the slowest.
    pub(super) fn are_whole(&self) -> bool {
        self.failed * FAILED_ONE_OF <= self.latencies.len()
    }

    /// A quantile of the good answers in milliseconds.
    #[expect(clippy::cast_precision_loss, reason = "microseconds of a run fit")]
    pub(super) fn millis(&self, quantile: f64) -> f64 {
        self.latencies.value_at_quantile(quantile) as f64 / 1000.0
    }

    #[expect(clippy::cast_precision_loss, reason = "answers of a run fit")]
    fn over(mut self, time: Duration) -> Self {
        self.per_second = self.latencies.len() as f64 / time.as_secs_f64();
        self
    }
}

impl Load {
    pub(super) fn on(bff: &Process, select: Select) -> anyhow::Result<Self> {
        // Idle connections are kept: it is the mutation that is measured.
        let client = reqwest::Client::builder().timeout(PATIENCE).build()?;
        Ok(Self { client, url: format!("http://{}/graphql", bff.address()).into(), select })
    }

    /// Invites somebody.
    async fn invite(&self) -> Result<(), String> {
        let id = ids::new_id();
        let payload = self.send(&json!({ "commandId": id, "email": email(id) })).await;
        payload.map(drop).map_err(|error| format!("{error:#}"))
    }

    /// The payload of an invitation with this input.
    pub(super) async fn send(&self, input: &Value) -> anyhow::Result<Value> {
        let customer = match self.select {
            Select::Outcome => "",
            Select::View => "customer { id email status version }",
        };
        let query = format!(
            "mutation ($input: InviteCustomerInput!) {{ inviteCustomer(input: $input) {{ commandId outcome {customer} }} }}"
        );
        let body = json!({ "query": query, "variables": { "input": input } });
        let response = self.client.post(&*self.url).json(&body).send().await?;
        let mut answer: Value = response.json().await?;
        anyhow::ensure!(answer.get("errors").is_none(), "an error: {answer}");
        let payload = answer["data"]["inviteCustomer"].take();
        let is_whole = self.select == Select::Outcome || payload["customer"]["version"].is_i64();
        anyhow::ensure!(is_whole, "a payload without its row: {payload}");
        Ok(payload)
    }

    /// One after another, each as soon as the one before is answered.
    pub(super) async fn one_in_flight(&self, time: Duration) -> anyhow::Result<Answers> {
        let mut answers = Answers::new()?;
        let watch = Stopwatch::start();
        while watch.took() < WARM_UP + time {
            let sent = watch.took();
            let answer = self.invite().await;
            if sent >= WARM_UP {
                answers.add((watch.took().saturating_sub(sent), answer));
            }
        }
        Ok(answers.over(time))
    }

    /// In an open loop; latency counts from when each was due.
    pub(super) async fn at_rate(&self, per_second: f64, time: Duration) -> anyhow::Result<Answers> {
        let schedule = Schedule::new(per_second);
        let (load, runtime) = (self.clone(), tokio::runtime::Handle::current());
        let sending = tokio::task::spawn_blocking(move || {
            let (watch, mut sent) = (Stopwatch::start(), JoinSet::new());
            for n in 0..schedule.count(WARM_UP + time) {
                let due = schedule.due(n);
                wait_until(watch, due);
                let load = load.clone();
                let request = async move {
                    let answer = load.invite().await;
                    (due, (watch.took().saturating_sub(due), answer))
                };
                sent.spawn_on(request, &runtime);
            }
            (sent, watch)
        });
        let (mut sent, watch) = sending.await.context("the load ended early")?;
        let mut answers = Answers::new()?;
        while let Some(answer) = sent.join_next().await {
            let (due, told) = answer?;
            if due >= WARM_UP {
                answers.add(told);
            }
        }
        // Until the last answer: a fleet that falls behind does not answer so many a second.
        Ok(answers.over(watch.took().saturating_sub(WARM_UP).max(time)))
    }

    /// So many clients, each of which sends its next mutation as soon as the one before is answered.
    pub(super) async fn clients(&self, count: usize, time: Duration) -> anyhow::Result<Answers> {
        let watch = Stopwatch::start();
        let mut clients = JoinSet::new();
        for _ in 0..count {
            let load = self.clone();
            clients.spawn(async move {
                let mut told = Vec::new();
                while watch.took() < WARM_UP + time {
                    let sent = watch.took();
                    let answer = load.invite().await;
                    let now = watch.took();
                    if now >= WARM_UP && now < WARM_UP + time {
                        told.push((now.saturating_sub(sent), answer));
                    }
                }
                told
            });
        }
        let mut answers = Answers::new()?;
        while let Some(told) = clients.join_next().await {
            told?.into_iter().for_each(|it| answers.add(it));
        }
        Ok(answers.over(time))
    }
}

/// At most one of so many may fail.
const FAILED_ONE_OF: u64 = 1000;
const WARM_UP: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(30);
