//! Apache Kafka: one node that is broker and controller.
use super::{
    Kit, Server, StackError,
    cache::remove,
    java::{self, Classes},
    probe,
    program::{self, Program},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const HEAP_MB: u32 = 512;
/// What the formatter writes for every cluster alike: the features that are on, new consumer groups among them.
pub(super) const FEATURES: &str = "bootstrap.checkpoint";

/// One more way to Kafka: who begins at `advertised` is sent back there for every broker, so that something can stand
/// between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Detour {
    /// Where Kafka listens.
    pub port: u16,
    /// Where clients are told that it listens.
    pub advertised: u16,
}

/// One more way to Kafka, which is encrypted, and where one signs in with a password (`SASL_SSL`, `PLAIN`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecureWay {
    /// Where Kafka listens.
    pub port: u16,
    /// What it shows, for 127.0.0.1, and whatever that is signed with: PEM.
    pub certificates: String,
    /// The key of the certificate: PEM, PKCS #8.
    pub key: String,
    /// Who may sign in, and with which password: no quotes, no backslashes.
    pub users: Vec<(String, String)>,
}

impl SecureWay {
    fn settings(&self) -> String {
        // In a properties file a new line ends the value.
        let in_a_line = |it: &str| it.replace('\n', "\\n");
        let user = |(name, password): &(String, String)| format!(" user_{name}=\"{password}\"");
        let (certificates, key) = (in_a_line(&self.certificates), in_a_line(&self.key));
        let users: String = self.users.iter().map(user).collect();
        format!(
            "\
listener.name.secure.ssl.keystore.type=PEM
listener.name.secure.ssl.keystore.certificate.chain={certificates}
listener.name.secure.ssl.keystore.key={key}
listener.name.secure.sasl.enabled.mechanisms=PLAIN
listener.name.secure.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required{users};
"
        )
    }
}

pub(super) struct Kafka {
    pub(super) kit: Kit,
    pub(super) folder: PathBuf,
    pub(super) log: PathBuf,
    pub(super) port: u16,
    pub(super) controller_port: u16,
    pub(super) detours: Vec<Detour>,
    pub(super) secure: Option<SecureWay>,
    pub(super) classes: Classes,
}

impl Kafka {
    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn settings_file(&self) -> PathBuf {
        self.folder.join("server.properties")
    }

    fn settings(&self) -> String {
        let (port, controller) = (self.port, self.controller_port);
        // In a properties file a backslash begins an escape.
        let data = self.data().display().to_string().replace('\\', "\\\\");
        let all = |one: &dyn Fn(usize, &Detour) -> String| {
            self.detours.iter().enumerate().map(|(n, it)| one(n, it)).collect::<String>()
        };
        let mut listeners = all(&|n, it| format!(",DETOUR{n}://127.0.0.1:{}", it.port));
        let mut advertised = all(&|n, it| format!(",DETOUR{n}://127.0.0.1:{}", it.advertised));
        let mut protocols = all(&|n, _| format!(",DETOUR{n}:PLAINTEXT"));
        let mut secure = String::new();
        if let Some(it) = &self.secure {
            let way = format!(",SECURE://127.0.0.1:{}", it.port);
            listeners += &way;
            advertised += &way;
            protocols += ",SECURE:SASL_SSL";
            secure = it.settings();
        }
        format!(
            "\
# Written at every start.
process.roles=broker,controller
node.id=1
log.dirs={data}
listeners=CLIENTS://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}{listeners}
advertised.listeners=CLIENTS://127.0.0.1:{port}{advertised}
listener.security.protocol.map=CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT{protocols}
inter.broker.listener.name=CLIENTS
controller.listener.names=CONTROLLER
controller.quorum.voters=1@127.0.0.1:{controller}
auto.create.topics.enable=false
{secure}
# One node.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1

# A killed member is missed after 6 s, a killed broker is back after 4. A member learns only from the answers to its
# heartbeats that partitions have become free: that is the pause when another one stops.
group.consumer.session.timeout.ms=6000
group.consumer.min.session.timeout.ms=6000
group.consumer.heartbeat.interval.ms=100
group.consumer.min.heartbeat.interval.ms=100
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
controller.quorum.election.timeout.ms=100
controller.quorum.election.backoff.max.ms=100

# Small, and quiet when idle.
num.network.threads=2
num.io.threads=4
background.threads=2
num.recovery.threads.per.data.dir=2
group.coordinator.threads=1
share.coordinator.threads=1
log.cleaner.dedupe.buffer.size=8388608
log.index.size.max.bytes=1048576
metadata.max.idle.interval.ms=5000
"
        )
    }

    /// Writes what Kafka's own formatter writes, without starting another virtual machine for it. All or nothing: the
    /// folder gets its name when it is complete.
    fn format(&self) -> Result<(), StackError> {
        let new = self.folder.join("new");
        remove(&new)?;
        let doing = || format!("format {}", self.data().display());
        let said = || StackError::io(doing());
        fs::create_dir_all(&new).map_err(said())?;
        let id = || kafka_id(Uuid::from_bytes(random_bytes()));
        let properties =
            format!("version=1\nnode.id=1\ncluster.id={}\ndirectory.id={}\n", id(), id());
        fs::write(new.join("meta.properties"), properties).map_err(said())?;
        fs::copy(self.kit.derived().join(FEATURES), new.join(FEATURES)).map_err(said())?;
        fs::rename(&new, self.data()).map_err(said())
    }

    /// Lets Kafka's own formatter write what all clusters have in common, into a folder that is thrown away.
    pub(super) fn features(&self, cancel: &CancellationToken) -> Result<PathBuf, StackError> {
        self.write_settings()?;
        let mut command = java::command(HEAP_MB, &Classes::Unarchived)?;
        command.arg("-cp").arg(self.class_path()?).arg("kafka.tools.StorageTool");
        command.args(["format", "-t"]).arg(kafka_id(Uuid::from_bytes(random_bytes())));
        command.arg("-c").arg(self.settings_file()).current_dir(&self.folder);
        let longest = Duration::from_mins(2);
        program::run(command, "Kafka's formatter", &self.log, longest, cancel)?;
        Ok(self.data().join(FEATURES))
    }

    fn write_settings(&self) -> Result<(), StackError> {
        let file = self.settings_file();
        let said = || StackError::io(format!("write {}", file.display()));
        fs::create_dir_all(&self.folder).map_err(said())?;
        fs::write(&file, self.settings()).map_err(said())
    }

    /// In a fixed order, as an archive of classes wants it.
    fn class_path(&self) -> Result<String, StackError> {
        let folder = self.kit.kafka();
        let said = StackError::io(format!("list {}", folder.display()));
        let jars = fs::read_dir(&folder).map_err(said)?.flatten().map(|it| it.path());
        let mut jars: Vec<_> = jars.map(|it| it.display().to_string()).collect();
        jars.sort();
        Ok(jars.join(":"))
    }
}

impl Program for Kafka {
    fn server(&self) -> Server {
        Server::Kafka
    }

    fn prepare(&self, _cancel: &CancellationToken) -> Result<(), StackError> {
        self.write_settings()?;
        if self.data().exists() { Ok(()) } else { self.format() }
    }

    fn command(&self) -> Result<Command, StackError> {
        let mut command = java::command(HEAP_MB, &self.classes)?;
        for (name, value) in LOGGING {
            command.arg(format!("-Dorg.slf4j.simpleLogger.{name}={value}"));
        }
        command.arg("-cp").arg(self.class_path()?).arg("kafka.Kafka").arg(self.settings_file());
        command.current_dir(&self.folder);
        Ok(command)
    }

    fn answers(&self) -> bool {
        probe::kafka(self.port)
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn log(&self) -> &Path {
        &self.log
    }
}

/// The dumps of all settings are as long as the rest of the log.
const LOGGING: [(&str, &str); 5] = [
    ("showDateTime", "true"),
    ("dateTimeFormat", "yyyy-MM-dd'T'HH:mm:ss.SSSXXX"),
    ("levelInBrackets", "true"),
    ("log.org.apache.kafka.common.config.AbstractConfig", "warn"),
    ("log.kafka.server.KafkaConfig", "warn"),
];

/// Kafka's text form of a UUID: URL-safe base 64 without padding.
fn kafka_id(id: Uuid) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let number = id.as_u128();
    // 128 bits in groups of six, the last one filled with zeros.
    let digit = |n: u32| {
        let group = if n < 21 { number >> (122 - 6 * n) } else { number << 4 };
        char::from(DIGITS[(group & 63) as usize])
    };
    (0..22).map(digit).collect()
}

/// An identity of a throw-away kind: it only has to differ from others on this machine.
fn random_bytes() -> [u8; 16] {
    use std::hash::BuildHasher as _;
    let random = std::collections::hash_map::RandomState::new();
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&random.hash_one(0).to_be_bytes());
    bytes[8..].copy_from_slice(&random.hash_one(1).to_be_bytes());
    // Kafka refuses an id that begins with a dash.
    bytes[0] &= 0x7f;
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_as_kafka_writes_them() {
        let id = Uuid::from_bytes(*b"0123456789abcdef");
        assert_eq!(kafka_id(id), "MDEyMzQ1Njc4OWFiY2RlZg");
        assert!(!kafka_id(Uuid::from_bytes(random_bytes())).starts_with('-'));
    }
}
