//! Topics: created, or found to be as they must be (protocol.md L2).
use super::settings::Kafka;
use crate::{config::Config, names::Names};
use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication},
    client::DefaultClientContext,
    types::RDKafkaErrorCode,
};
use std::time::Duration;

/// What a topic is for: that decides its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicKind {
    /// Kept for three days, with the broker's time.
    Commands,
    /// Kept for ever.
    Events,
    /// Kept for an hour.
    Replies,
}

impl TopicKind {
    /// Its settings, as Kafka names them.
    #[must_use]
    pub fn settings(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Commands => {
                &[("message.timestamp.type", "LogAppendTime"), ("retention.ms", "259200000")]
            }
            Self::Events => &[("retention.ms", "-1"), ("cleanup.policy", "delete")],
            Self::Replies => &[("retention.ms", "3600000")],
        }
    }
}

/// A topic that is not as it must be, or cannot be asked about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// No broker answers.
    #[error("kafka does not answer: {0}")]
    Away(String),
    /// It has another number of partitions than configured.
    #[error(
        "the topic {topic} has {actual} partitions, not {expected}: streams would move to other partitions; set FLOTILLA_PARTITIONS={actual}, or use a new namespace"
    )]
    OtherPartitions {
        /// The topic.
        topic: String,
        /// As it is.
        actual: usize,
        /// As configured.
        expected: i32,
    },
    /// One of its settings breaks a promise.
    #[error(
        "the topic {topic} has {name}={actual}, not {expected}: change it with kafka-configs.sh --alter"
    )]
    OtherSetting {
        /// The topic.
        topic: String,
        /// The setting.
        name: &'static str,
        /// As it is.
        actual: String,
        /// As it must be.
        expected: String,
    },
    /// It is not there, and nobody was to make it.
    #[error("there is no topic {topic}")]
    Missing {
        /// The topic.
        topic: String,
    },
    /// It could not be made.
    #[error("the topic {topic} cannot be created: {reason}")]
    Refused {
        /// The topic.
        topic: String,
        /// The broker's words.
        reason: String,
    },
}

impl Kafka {
    /// The topics of these contexts, and that of the replies: creates what is missing, verifies the rest.
    ///
    /// # Errors
    /// If a topic is not as it must be, or Kafka does not answer.
    pub async fn ensure_topics(
        &self,
        config: &Config,
        contexts: &[&str],
    ) -> Result<(), TopicError> {
        self.ensure(config, wanted(config, contexts)).await
    }

    /// The same topics, but nothing is made.
    ///
    /// # Errors
    /// If a topic is missing or not as it must be, or Kafka does not answer.
    pub async fn verify_topics(
        &self,
        config: &Config,
        contexts: &[&str],
    ) -> Result<(), TopicError> {
        let away = |error: rdkafka::error::KafkaError| TopicError::Away(error.to_string());
        let admin: AdminClient<DefaultClientContext> = self.base().create().map_err(away)?;
        let wanted = wanted(config, contexts);
        match self.verify(&admin, config.partitions, &wanted)?.into_iter().next() {
            Some((topic, _)) => Err(TopicError::Missing { topic }),
            None => verify_settings(&admin, &wanted, largest(config)).await,
        }
    }

    /// A topic that is nobody's but its maker's, kept for ever, with as many partitions as those of the fleet: creates
    /// it, or verifies that it is so.
    ///
    /// # Errors
    /// If it is another one, or Kafka does not answer.
    pub async fn ensure_plain_topic(&self, config: &Config, name: &str) -> Result<(), TopicError> {
        self.ensure(config, vec![(name.to_owned(), TopicKind::Events)]).await
    }

    async fn ensure(
        &self,
        config: &Config,
        mut wanted: Vec<(String, TopicKind)>,
    ) -> Result<(), TopicError> {
        let away = |error: rdkafka::error::KafkaError| TopicError::Away(error.to_string());
        let admin: AdminClient<DefaultClientContext> = self.base().create().map_err(away)?;
        let missing = self.verify(&admin, config.partitions, &wanted)?;
        let bytes = largest(config);
        wanted.retain(|it| !missing.contains(it));
        verify_settings(&admin, &wanted, bytes).await?;
        if missing.is_empty() {
            return Ok(());
        }
        let bytes = bytes.to_string();
        let new: Vec<NewTopic<'_>> = missing
            .iter()
            .map(|(name, kind)| {
                let copies = TopicReplication::Fixed(config.replication);
                let topic = NewTopic::new(name, config.partitions, copies);
                let topic = topic.set("max.message.bytes", &bytes);
                kind.settings().iter().fold(topic, |topic, (key, value)| topic.set(key, value))
            })
            .collect();
        let options =
            AdminOptions::new().operation_timeout(Some(TIMEOUT)).request_timeout(Some(TIMEOUT));
        for made in admin.create_topics(&new, &options).await.map_err(away)? {
            match made {
                // Another process was faster.
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, error)) => {
                    return Err(TopicError::Refused { topic, reason: error.to_string() });
                }
            }
        }
        Ok(())
    }

    /// The topics that are missing; those that are there have the right number of partitions.
    fn verify(
        &self,
        admin: &AdminClient<DefaultClientContext>,
        partitions: i32,
        wanted: &[(String, TopicKind)],
    ) -> Result<Vec<(String, TopicKind)>, TopicError> {
        let metadata = admin.inner().fetch_metadata(None, TIMEOUT);
        let metadata = metadata.map_err(|error| TopicError::Away(self.why(&error)))?;
        let mut missing = Vec::new();
        for (name, kind) in wanted {
            match metadata.topics().iter().find(|it| it.name() == name) {
                Some(it) if i32::try_from(it.partitions().len()) == Ok(partitions) => {}
                Some(it) => {
                    return Err(TopicError::OtherPartitions {
                        topic: name.clone(),
                        actual: it.partitions().len(),
                        expected: partitions,
                    });
                }
                None => missing.push((name.clone(), *kind)),
            }
        }
        Ok(missing)
    }
}

/// The topics of these contexts, and that of the replies.
fn wanted(config: &Config, contexts: &[&str]) -> Vec<(String, TopicKind)> {
    let names = Names::new(config.namespace.as_str());
    let mut wanted = vec![(names.replies().to_string(), TopicKind::Replies)];
    for context in contexts {
        wanted.push((names.commands(context).to_string(), TopicKind::Commands));
        wanted.push((names.events(context).to_string(), TopicKind::Events));
    }
    wanted
}

/// The largest record, in bytes: its headers come on top.
fn largest(config: &Config) -> usize {
    config.message_bytes() + 128 * 1024
}

/// The settings of topics that are there: those that a promise rests on.
async fn verify_settings(
    admin: &AdminClient<DefaultClientContext>,
    topics: &[(String, TopicKind)],
    bytes: usize,
) -> Result<(), TopicError> {
    let resources: Vec<ResourceSpecifier<'_>> =
        topics.iter().map(|(name, _)| ResourceSpecifier::Topic(name)).collect();
    if resources.is_empty() {
        return Ok(());
    }
    let options = AdminOptions::new().request_timeout(Some(TIMEOUT));
    let described = admin.describe_configs(&resources, &options).await;
    let described = described.map_err(|error| TopicError::Away(error.to_string()))?;
    for ((topic, kind), described) in topics.iter().zip(described) {
        // Not every principal may look; the topic itself is there.
        let Ok(described) = described else { continue };
        let value = |name: &str| described.get(name).and_then(|it| it.value.clone());
        let other = |name, actual, expected| {
            Err(TopicError::OtherSetting { topic: topic.clone(), name, actual, expected })
        };
        for (name, expected) in kind.settings() {
            match value(name) {
                Some(actual) if actual != *expected => {
                    return other(name, actual, (*expected).to_owned());
                }
                Some(_) | None => {}
            }
        }
        match value("max.message.bytes") {
            Some(actual) if actual.parse().is_ok_and(|it: usize| it < bytes) => {
                return other("max.message.bytes", actual, format!("{bytes} or more"));
            }
            Some(_) | None => {}
        }
    }
    Ok(())
}

const TIMEOUT: Duration = Duration::from_secs(10);
