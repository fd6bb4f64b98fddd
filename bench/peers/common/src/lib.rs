//! What the programs share: their arguments, writers that never pause, an open loop, and the line that they print.
use anyhow::{Context as _, anyhow};
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection, PgPool, postgres::PgPoolOptions};
use std::{
    collections::HashMap,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;
use uuid::Uuid;

/// A verb, and then `--name value` pairs.
pub struct Arguments {
    verb: String,
    values: HashMap<String, String>,
}

impl Arguments {
    /// Those of this process.
    pub fn read() -> anyhow::Result<Self> {
        let mut all = std::env::args().skip(1);
        let verb = all.next().ok_or_else(|| anyhow!("no verb: see the beginning of the source"))?;
        let mut values = HashMap::new();
        while let Some(name) = all.next() {
            let value = all.next().ok_or_else(|| anyhow!("{name} has no value"))?;
            values.insert(name.trim_start_matches('-').to_owned(), value);
        }
        Ok(Self { verb, values })
    }

    /// What is to be done.
    pub fn verb(&self) -> &str {
        &self.verb
    }

    /// A value that must be there.
    pub fn get<T: FromStr>(&self, name: &str) -> anyhow::Result<T> {
        let text = self.values.get(name).ok_or_else(|| anyhow!("--{name} is missing"))?;
        text.parse().map_err(|_| anyhow!("--{name} {text} cannot be read"))
    }

    /// A value that has a default.
    pub fn or<T: FromStr>(&self, name: &str, default: T) -> anyhow::Result<T> {
        if self.values.contains_key(name) { self.get(name) } else { Ok(default) }
    }

    /// A pool of the server at `--database-url`, in the database `name`, which is made if need be.
    pub async fn pool(&self, name: &str, connections: u32) -> anyhow::Result<PgPool> {
        let options = self.database(name).await?;
        let pool = PgPoolOptions::new().max_connections(connections).min_connections(connections);
        Ok(pool.connect_with(options).await?)
    }

    /// One connection to the database `name`, which is made if need be.
    pub async fn connection(&self, name: &str) -> anyhow::Result<PgConnection> {
        Ok(PgConnection::connect_with(&self.database(name).await?).await?)
    }

    async fn database(&self, name: &str) -> anyhow::Result<sqlx::postgres::PgConnectOptions> {
        let url: String = self.get("database-url")?;
        let options: sqlx::postgres::PgConnectOptions = url.parse()?;
        let mut server = PgConnection::connect_with(&options).await.context("connect")?;
        let found = sqlx::query("select 1 from pg_database where datname = $1").bind(name);
        if found.fetch_optional(&mut server).await?.is_none() {
            sqlx::query(&format!("create database \"{name}\"")).execute(&mut server).await?;
        }
        Ok(options.database(name))
    }
}

/// The payload of all: an invitation to this address.
pub fn email(id: Uuid) -> String {
    format!("customer-{}@example.com", id.simple())
}

/// Prints the result, on one line.
pub fn print(value: &Value) {
    println!("{value}");
}

/// Lets so many writers write without a pause, first for the warm-up and then for the measured time; what each write
/// returns is how many events it appended. The throughput and the latency of the measured time.
pub async fn writers<W, F>(arguments: &Arguments, write: W) -> anyhow::Result<Value>
where
    W: Fn(usize) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = anyhow::Result<u64>> + Send,
{
    let writers: usize = arguments.or("writers", 64)?;
    let warm_up = Duration::from_secs_f64(arguments.or("warm-up", 1.0)?);
    let seconds: f64 = arguments.get("seconds")?;
    let begin = Instant::now() + warm_up;
    let end = begin + Duration::from_secs_f64(seconds);
    let events = Arc::new(AtomicU64::new(0));
    let mut tasks = Vec::new();
    for number in 0..writers {
        let (write, events) = (write.clone(), Arc::clone(&events));
        tasks.push(tokio::spawn(async move {
            let mut latencies = micros();
            loop {
                let sent = Instant::now();
                if sent >= end {
                    return anyhow::Ok(latencies);
                }
                let appended = write(number).await?;
                let now = Instant::now();
                if now >= begin && now < end {
                    events.fetch_add(appended, Ordering::Relaxed);
                    latencies.saturating_record((now - sent).as_micros() as u64);
                }
            }
        }));
    }
    let mut latencies = micros();
    for task in tasks {
        latencies.add(task.await??)?;
    }
    let count = events.load(Ordering::Relaxed);
    Ok(json!({
        "count": count,
        "per_second": count as f64 / seconds,
        "p50_ms": millis(&latencies, 0.5),
        "p99_ms": millis(&latencies, 0.99),
    }))
}

/// Does one thing after another, at `--rate` a second (0: the next as soon as the one before is done), for
/// `--seconds` after a warm-up. Latency counts from when each should have begun, however late it did.
pub async fn at_rate<F>(arguments: &Arguments, mut act: impl FnMut() -> F) -> anyhow::Result<Value>
where
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let rate: f64 = arguments.or("rate", 0.0)?;
    let warm_up = Duration::from_secs_f64(arguments.or("warm-up", 1.0)?);
    let seconds: f64 = arguments.get("seconds")?;
    let start = Instant::now();
    let (begin, end) = (start + warm_up, start + warm_up + Duration::from_secs_f64(seconds));
    let mut latencies = micros();
    if rate == 0.0 {
        loop {
            let due = Instant::now();
            if due >= end {
                break;
            }
            act().await?;
            if due >= begin {
                latencies.saturating_record(due.elapsed().as_micros() as u64);
            }
        }
    } else {
        let mut tasks = Vec::new();
        for n in 0u32.. {
            let due = start + Duration::from_secs_f64(f64::from(n) / rate);
            if due >= end {
                break;
            }
            wait_until(due).await;
            let done = act();
            tasks.push((due, tokio::spawn(async move { done.await.map(|()| due.elapsed()) })));
        }
        for (due, task) in tasks {
            let took = task.await??;
            if due >= begin {
                latencies.saturating_record(took.as_micros() as u64);
            }
        }
    }
    Ok(json!({
        "count": latencies.len(),
        "p50_ms": millis(&latencies, 0.5),
        "p99_ms": millis(&latencies, 0.99),
    }))
}

/// Tokio's timer is good to a millisecond only: the rest is waited for on the thread.
async fn wait_until(due: Instant) {
    let now = Instant::now();
    if due > now + Duration::from_millis(2) {
        tokio::time::sleep_until(due - Duration::from_millis(1)).await;
    }
    if let Some(rest) = due.checked_duration_since(Instant::now()) {
        tokio::task::block_in_place(|| std::thread::sleep(rest));
    }
}

fn micros() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("the bounds are good")
}

fn millis(latencies: &Histogram<u64>, quantile: f64) -> f64 {
    latencies.value_at_quantile(quantile) as f64 / 1000.0
}
