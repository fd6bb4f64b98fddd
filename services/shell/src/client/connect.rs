//! A client of the real servers: it is there at once, and works as far as they do.
use super::{
    command::{Client, Inner, Settings},
    live::feeds,
    replies::{follow_replies, look_up_late_replies},
};
use crate::{
    kafka::KafkaProducer,
    partition::partition_of_key,
    postgres::PostgresReads,
    service::{Shell, wait_for_topics},
    view::ViewDefinition,
};
use shared_events::{Message as _, fleet::Reply};
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;

impl Shell {
    /// A client of the fleet that knows these views. Queries work as soon as Postgres answers, mutations once
    /// replies can be received; until then they answer that they cannot. Call it within a runtime.
    ///
    /// # Errors
    /// If the client's settings are refused.
    pub fn client(
        &self,
        contexts: &'static [&'static str],
        views: Vec<ViewDefinition>,
    ) -> anyhow::Result<Client> {
        let config = &self.config;
        let instance = self.status.instance();
        for it in contexts {
            self.status.works_for(*it);
        }
        let settings = Settings {
            instance,
            namespace: config.namespace.as_str().to_owned(),
            partitions: config.partitions,
            reply_partition: partition_of_key(instance.to_string().as_bytes(), config.partitions),
            command_bytes_max: config.message_bytes(),
            in_flight_max: usize::try_from(config.commands_in_flight)?,
        };
        // What is not delivered by the time that a mutation is answered is given up (R5).
        let producer = self.kafka.command_producer(COMMAND_TIMEOUT_MS)?;
        let reads = Arc::new(PostgresReads::new(self.postgres.clone()));
        let inner = Inner::new(
            settings,
            producer.clone(),
            Arc::<PostgresReads>::clone(&reads),
            reads,
            self.codec.clone(),
            self.clock.clone(),
            views,
        );
        inner.set_open(false);
        let client = Client(Arc::new(inner));
        let (send, records) = mpsc::channel(10_000);
        tokio::spawn(follow_replies(client.clone(), records));
        tokio::spawn(feeds(client.clone()));
        tokio::spawn(look_up_late_replies(client.clone(), self.shutdown.clone()));
        tokio::spawn(listen(self.clone(), client.clone(), contexts, send));
        tokio::spawn(watch(self.clone(), producer));
        Ok(client)
    }
}

/// Opens the client for mutations once replies can be received.
async fn listen(
    shell: Shell,
    client: Client,
    contexts: &'static [&'static str],
    records: mpsc::Sender<crate::port::log::Record>,
) {
    let (waiting, runtime) = (shell.clone(), tokio::runtime::Handle::current());
    // It asks Kafka, and blocks meanwhile: not on a thread that serves others.
    let wait = move || runtime.block_on(wait_for_topics(&waiting, contexts));
    match tokio::task::spawn_blocking(wait).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::error!("{error:#}");
            shell.shutdown.cancel();
            return;
        }
        Err(error) => {
            tracing::error!(%error, "cannot look at the topics");
            return;
        }
    }
    let topic = shell.names().replies();
    let part = client.0.settings.reply_partition;
    while !shell.shutdown.is_cancelled() {
        let (kafka, topic, records) = (shell.kafka.clone(), Arc::clone(&topic), records.clone());
        let tail = tokio::task::spawn_blocking(move || kafka.tail(&topic, part, records)).await;
        match tail {
            Ok(Ok(tail)) => {
                tokio::spawn(tail);
                break;
            }
            Ok(Err(error)) => tracing::warn!(%error, "waiting for the replies"),
            Err(error) => tracing::error!(%error, "cannot read replies"),
        }
        shell.clock.sleep(PULSE).await;
    }
    // So that the first mutation need not wait for the registry.
    while let Err(error) = shell.codec.prepare(Reply::family()).await {
        if shell.shutdown.is_cancelled() {
            return;
        }
        tracing::warn!(%error, "waiting for the schema registry");
        shell.clock.sleep(PULSE).await;
    }
    client.0.set_open(true);
}

/// A producer learns that brokers are back only by trying: asks for it, so that no mutation has to.
async fn watch(shell: Shell, producer: KafkaProducer) {
    while !shell.shutdown.is_cancelled() {
        shell.clock.sleep(PULSE).await;
        if let Some(error) = producer.fatal_error() {
            tracing::error!(%error, "the producer of commands will never send again: ending, to be started anew");
            shell.shutdown.cancel();
        }
        if producer.is_away() {
            let producer = producer.clone();
            let probe = move || producer.probe(Duration::from_secs(1));
            let _ = tokio::task::spawn_blocking(probe).await;
        }
    }
}

const COMMAND_TIMEOUT_MS: u32 = 5_000;
const PULSE: Duration = Duration::from_millis(300);
