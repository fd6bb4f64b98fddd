//! A little of `flotilla chaos`: the same command as the long one, with a plan that is known to have some of all.
use crate::servers::{Folder, one_after_another, servers_in};
use serde_json::Value;
use std::{
    env, fs,
    process::{Command, Stdio},
};
use tokio::task::spawn_blocking;

/// Its plan begins with a planned stop of Kafka, then a handler is killed, an aggregator frozen and a way mute at once.
const SEED: &str = "5123";

#[tokio::test]
#[expect(clippy::await_holding_lock, reason = "each test has a runtime of its own")]
async fn a_short_chaos_finds_nothing_wrong() {
    let _turn = one_after_another();
    let folder = Folder::new("chaos");
    fs::create_dir_all(&folder.0).expect("a folder");
    let json = folder.0.join("report.json");
    let mut chaos = Command::new(env!("CARGO_BIN_EXE_flotilla"));
    chaos.args(["chaos", "--faults", "3", "--seed", SEED, "--json"]).arg(&json);
    chaos.env("TMPDIR", &folder.0).stdin(Stdio::null());
    let out = spawn_blocking(move || chaos.output()).await.expect("it ends").expect("it runs");
    let said = String::from_utf8_lossy(&out.stdout) + String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{said}");

    let report: Value =
        serde_json::from_slice(&fs::read(&json).expect("a report")).expect("it is JSON");
    assert_eq!(report["anomalies"], serde_json::json!([]), "{said}");
    let faults = report["faults"].as_object().expect("faults");
    let any_of =
        |words: &[&str]| faults.keys().any(|it| words.iter().any(|word| it.contains(word)));
    for words in [
        &["killed", "aborted"][..],
        &["frozen"],
        &["stopped"],
        &["slow", "silent", "mute", "broken"],
        &["handler", "aggregator", "BFF"],
    ] {
        assert!(any_of(words), "none of {words:?}: {faults:?}");
    }
    assert!(report["commands"]["accepted"].as_u64() > Some(100), "{said}");
    assert!(report["events"].as_u64() > Some(100), "{said}");

    // It is as if it had never been there.
    fs::remove_file(&json).expect("a file");
    let left: Vec<_> = fs::read_dir(&folder.0).expect("a folder").flatten().collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(servers_in(&folder.0), Vec::<String>::new());
}
