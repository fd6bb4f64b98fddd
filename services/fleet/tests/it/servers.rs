//! What the tests ask the servers, and where their stacks are.
#![expect(clippy::unwrap_used, reason = "only tests call this")]
use fleet::stack::{Addresses, External, Ports, Server, StackOptions, query};
use std::{
    env, fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// A folder that is gone when the test is over.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("flotilla-it-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    pub(crate) fn options(&self) -> StackOptions {
        StackOptions { data: self.0.clone(), ports: Ports::Auto, ..StackOptions::default() }
    }

    /// A stack of one server only.
    pub(crate) fn options_of(&self, server: Server) -> StackOptions {
        let elsewhere = |it| (it != server).then(|| "127.0.0.1:1".to_owned());
        let external = External {
            kafka: elsewhere(Server::Kafka),
            registry: elsewhere(Server::Registry),
            postgres: elsewhere(Server::Postgres),
        };
        StackOptions { external, ..self.options() }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The machine is small: stacks start one after another.
pub(crate) fn one_after_another() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The servers that work below a folder.
pub(crate) fn servers_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir("/proc").unwrap().flatten().map(|it| it.path());
    let link = |path: &Path, name| fs::read_link(path.join(name)).unwrap_or_default();
    let is_server = |it: &PathBuf| {
        let program = link(it, "exe");
        (program.ends_with("java") || program.ends_with("postgres"))
            && link(it, "cwd").starts_with(folder)
    };
    entries.filter(is_server).map(|it| it.file_name().unwrap().to_string_lossy().into()).collect()
}

/// Looks again and again until it is so.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let look = async {
        let mut pulse = tokio::time::interval(Duration::from_millis(20));
        while !is_so() {
            pulse.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), look).await.unwrap_or_else(|_| panic!("{what}"));
}

fn kafka(addresses: &Addresses, key: i16, version: i16, body: &[u8]) -> Vec<u8> {
    let mut question = [&key.to_be_bytes()[..], &version.to_be_bytes()].concat();
    // Correlation 0; no client id.
    question.extend_from_slice(&[0, 0, 0, 0, 0xff, 0xff]);
    question.extend_from_slice(body);
    let length = u32::try_from(question.len()).unwrap();
    let mut stream = TcpStream::connect(&addresses.kafka_brokers).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(&[&length.to_be_bytes()[..], &question].concat()).unwrap();
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut answer).unwrap();
    answer
}

pub(crate) fn create_topic(addresses: &Addresses, name: &str) {
    let mut body = vec![0, 0, 0, 1, 0, u8::try_from(name.len()).unwrap()];
    body.extend_from_slice(name.as_bytes());
    // Three partitions, one replica, nothing else; ten seconds; for real.
    body.extend_from_slice(&[0, 0, 0, 3, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x27, 0x10, 0]);
    kafka(addresses, 19, 2, &body);
}

/// Has a topic deleted: it is gone once it is no longer listed.
pub(crate) fn delete_topic(addresses: &Addresses, name: &str) {
    let mut body = vec![0, 0, 0, 1, 0, u8::try_from(name.len()).unwrap()];
    body.extend_from_slice(name.as_bytes());
    // Within ten seconds.
    body.extend_from_slice(&[0, 0, 0x27, 0x10]);
    kafka(addresses, 20, 1, &body);
}

/// Deletes what stands before an offset of a partition.
pub(crate) fn delete_records(addresses: &Addresses, topic: &str, part: i32, before: i64) {
    let mut body = vec![0, 0, 0, 1, 0, u8::try_from(topic.len()).unwrap()];
    body.extend_from_slice(topic.as_bytes());
    body.extend_from_slice(&[0, 0, 0, 1]);
    body.extend_from_slice(&part.to_be_bytes());
    body.extend_from_slice(&before.to_be_bytes());
    // Within ten seconds.
    body.extend_from_slice(&[0, 0, 0x27, 0x10]);
    kafka(addresses, 21, 1, &body);
}

pub(crate) fn has_topic(addresses: &Addresses, name: &str) -> bool {
    let all_topics = [0xff; 4];
    let answer = kafka(addresses, 3, 1, &all_topics);
    answer.windows(name.len()).any(|it| it == name.as_bytes())
}

/// Registers a schema, or finds it, and returns its id.
pub(crate) async fn schema_id(addresses: &Addresses) -> u64 {
    let url = format!("{}/subjects/tests/versions", addresses.schema_registry_url);
    let schema = r#"{"type":"record","name":"It","fields":[{"name":"it","type":"string"}]}"#;
    let body = serde_json::json!({ "schema": schema });
    let answer = reqwest::Client::new().post(url).json(&body).send().await.unwrap();
    answer.json::<serde_json::Value>().await.unwrap()["id"].as_u64().unwrap()
}

pub(crate) fn sql(addresses: &Addresses, statement: &str) -> String {
    sql_of(addresses, "postgres", statement)
}

/// Asks another database of the same server.
pub(crate) fn sql_of(addresses: &Addresses, database: &str, statement: &str) -> String {
    query(&addresses.database_url, database, statement).unwrap()
}
