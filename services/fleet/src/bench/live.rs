//! P9: live updates: how soon a row is with its subscribers after it has changed, how many of them a BFF can tell, and what
//! each takes.
use super::{
    commands::email,
    latency::Services,
    load::{Load, Select},
    report::Entry,
    stage::{Fleet, Stage},
    usage::Usage,
};
use crate::stack::{Stopwatch, query};
use anyhow::Context as _;
use chrono::{DateTime, Utc};
use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use shell::{clock::Clock, ids};
use std::{collections::BTreeMap, net::SocketAddr, time::Duration};
use tokio::{net::TcpStream, sync::mpsc, task::JoinSet};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest as _},
};
use uuid::Uuid;

/// Each with a connection of its own, each following all customers.
const SUBSCRIBERS: usize = 1_000;
/// Changes that are followed one by one.
const CHANGES: usize = 100;
/// Between two of them nothing happens.
const PAUSE: Duration = Duration::from_millis(50);
/// Clients that change rows, each the next as soon as the one before is answered.
const CLIENTS: usize = 16;
const TIME: Duration = Duration::from_secs(6);
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn updates(stage: &Stage) -> anyhow::Result<Entry> {
    let fleet = stage.fleet("p9").await?;
    let mut entry = Entry::new("rows/s to all subscribers together");
    for round in 1..=stage.plan.rounds {
        let services = Services::start(&fleet).await?;
        let load = Load::on(&services.bff, Select::Outcome)?;
        let address = services.bff.address();
        // Both sides have seen each other before anything is measured.
        warm_up(&load, address).await?;
        let mut one = Audience::gather(&stage.clock, address, 1).await?;
        one.follow(stage, &fleet, &load, 20, &mut Entry::default(), "").await?;
        stage.tell("P9", &format!("round {round}: {CHANGES} changes, one subscriber"));
        one.follow(stage, &fleet, &load, CHANGES, &mut entry, "one_").await?;
        drop(one);
        stage.tell("P9", &format!("round {round}: {CHANGES} changes, {SUBSCRIBERS} subscribers"));
        let before = Usage::now();
        let mut all = Audience::gather(&stage.clock, address, SUBSCRIBERS).await?;
        all.follow(stage, &fleet, &load, CHANGES, &mut entry, "").await?;
        #[expect(clippy::cast_precision_loss, reason = "so many there will never be")]
        let each = Usage::now().memory_mb_since(&before, "bff") * 1024.0 / SUBSCRIBERS as f64;
        entry.other("bff_kb_per_subscriber", each);
        stage.tell("P9", &format!("round {round}: {CLIENTS} clients, {SUBSCRIBERS} subscribers"));
        let (usage, time) = (Usage::now(), Stopwatch::start());
        all.forget();
        let answers = load.clients(CLIENTS, TIME).await?;
        let rows = all.forget();
        let took = time.took();
        entry.processes = Usage::now().since(&usage, took);
        #[expect(clippy::cast_precision_loss, reason = "rows of a run fit")]
        entry.value.add(rows as f64 / took.as_secs_f64());
        entry.other("mutations_per_second_meanwhile", answers.per_second);
        entry.other("mutation_p99_ms_meanwhile", answers.millis(0.99));
    }
    entry.notes.push(format!(
        "{SUBSCRIBERS} connections; view_to_row counts from when the aggregator began to write the row, answer_to_row \
         from the answer of the mutation; subscribers and servers share the machine"
    ));
    Ok(entry)
}

/// Until the view has something to show.
async fn warm_up(load: &Load, address: SocketAddr) -> anyhow::Result<()> {
    let id = ids::new_id();
    load.send(&json!({ "commandId": id, "email": email(id) })).await?;
    let watch = Stopwatch::start();
    while let Err(error) = position(address).await {
        anyhow::ensure!(watch.took() < PATIENCE, error);
    }
    Ok(())
}

/// A row that a subscriber was told of, and when.
struct Told {
    id: Uuid,
    since_start: Duration,
    at: DateTime<Utc>,
}

/// Subscribers to all customers.
struct Audience {
    clock: Clock,
    count: usize,
    told: mpsc::UnboundedReceiver<Told>,
    _sockets: JoinSet<()>,
}

impl Audience {
    async fn gather(clock: &Clock, address: SocketAddr, count: usize) -> anyhow::Result<Self> {
        let (tell, told) = mpsc::unbounded_channel();
        let mut sockets = JoinSet::new();
        // From here on nothing is missed, whenever a subscription begins.
        let after = position(address).await?;
        for _ in 0..count {
            let mut socket = subscribed(address, &after).await?;
            let (clock, tell) = (clock.clone(), tell.clone());
            sockets.spawn(async move {
                while let Some(Ok(message)) = socket.next().await {
                    let (since_start, at) = (clock.elapsed(), clock.now());
                    let Some(id) = message.to_text().ok().and_then(id) else { continue };
                    if tell.send(Told { id, since_start, at }).is_err() {
                        return;
                    }
                }
            });
        }
        Ok(Self { clock: clock.clone(), count, told, _sockets: sockets })
    }

    /// Rows that were told of and not looked at.
    fn forget(&mut self) -> usize {
        std::iter::from_fn(|| self.told.try_recv().ok()).count()
    }

    /// Changes rows, one after another, each once all have been told of the one before.
    async fn follow(
        &mut self,
        stage: &Stage,
        fleet: &Fleet,
        load: &Load,
        changes: usize,
        entry: &mut Entry,
        kind: &str,
    ) -> anyhow::Result<()> {
        let (mut after_answer, mut heard) = (Vec::new(), BTreeMap::new());
        for _ in 0..changes {
            let id = ids::new_id();
            let input = json!({ "commandId": id, "customerId": id, "email": email(id) });
            load.send(&input).await?;
            let answered = self.clock.elapsed();
            for _ in 0..self.count {
                let clock = self.clock.clone();
                let told = clock.timeout(PATIENCE, self.next(id)).await;
                let told = told.flatten().context("a subscriber was not told of a row")?;
                after_answer.push(told.since_start.saturating_sub(answered).as_secs_f64() * 1e3);
                heard.entry(id).or_insert_with(Vec::new).push(told.at);
            }
            self.clock.sleep(PAUSE).await;
        }
        let written = written(stage, fleet)?;
        let since = |(id, all): (&Uuid, &Vec<DateTime<Utc>>)| -> Vec<f64> {
            let Some(at) = written.get(id) else { return Vec::new() };
            let micros = |it: &DateTime<Utc>| (*it - at).num_microseconds().unwrap_or_default();
            #[expect(clippy::cast_precision_loss, reason = "microseconds of a run fit")]
            all.iter().map(|it| micros(it) as f64 / 1e3).collect()
        };
        let mut after_write: Vec<f64> = heard.iter().flat_map(since).collect();
        for (name, all) in [("answer", &mut after_answer), ("view", &mut after_write)] {
            anyhow::ensure!(!all.is_empty(), "nothing is known of when rows were written");
            all.sort_by(f64::total_cmp);
            for (quantile, at) in [("p50", all.len() / 2), ("p99", all.len() * 99 / 100)] {
                entry.other(&format!("{kind}{name}_to_row_{quantile}_ms"), all[at]);
            }
        }
        Ok(())
    }

    async fn next(&mut self, id: Uuid) -> Option<Told> {
        loop {
            let told = self.told.recv().await?;
            if told.id == id {
                return Some(told);
            }
        }
    }
}

/// When the aggregator began to write each row.
fn written(stage: &Stage, fleet: &Fleet) -> anyhow::Result<BTreeMap<Uuid, DateTime<Utc>>> {
    let sql = "select coalesce(json_object_agg(k, to_char(at at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')), '{}')
        from read.change, json_array_elements_text(keys) k where view = 'customer'";
    let text = query(&stage.addresses().database_url, &fleet.database(), sql)?;
    Ok(serde_json::from_str(&text)?)
}

/// Where the view is now.
async fn position(address: SocketAddr) -> anyhow::Result<String> {
    let query = json!({ "query": "{ customers(first: 1) { totalCount } }" });
    let url = format!("http://{address}/graphql");
    let answer: Value = reqwest::Client::new().post(url).json(&query).send().await?.json().await?;
    let position = answer["extensions"]["position"].as_str();
    Ok(position.with_context(|| format!("no position: {answer}"))?.to_owned())
}

async fn subscribed(
    address: SocketAddr,
    after: &str,
) -> anyhow::Result<WebSocketStream<TcpStream>> {
    let mut request = format!("ws://{address}/graphql").into_client_request()?;
    request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse()?);
    let (mut socket, _) = client_async(request, TcpStream::connect(address).await?).await?;
    let field = format!("customersChanged(after: {after:?})");
    let query =
        format!("subscription {{ {field} {{ id customer {{ email status version }} position }} }}");
    for message in [
        json!({ "type": "connection_init" }),
        json!({ "id": "1", "type": "subscribe", "payload": { "query": query } }),
    ] {
        socket.send(Message::text(message.to_string())).await?;
    }
    let acknowledged = socket.next().await.context("the socket ended")??;
    anyhow::ensure!(acknowledged.to_text()?.contains("connection_ack"), "{acknowledged}");
    Ok(socket)
}

/// The customer that a message is about.
fn id(message: &str) -> Option<Uuid> {
    let message: Value = serde_json::from_str(message).ok()?;
    message["payload"]["data"]["customersChanged"]["id"].as_str()?.parse().ok()
}
