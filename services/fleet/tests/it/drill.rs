//! `flotilla drill`: what operators do to a fleet under load is felt little, and loses nothing.
use crate::{
    fleet::Fleet,
    servers::{Folder, one_after_another, servers_in},
};
use serde_json::{Value, json};
use std::{
    env, fs,
    path::Path,
    process::{Command, Output, Stdio},
};
use tokio::task::spawn_blocking;

async fn flotilla(folder: &Path, arguments: &[&str]) -> Output {
    let mut drill = Command::new(env!("CARGO_BIN_EXE_flotilla"));
    drill.arg("drill").args(arguments).env("TMPDIR", folder).stdin(Stdio::null());
    spawn_blocking(move || drill.output()).await.expect("it ends").expect("it runs")
}

fn said(out: &Output) -> String {
    String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr)
}

fn report(file: &Path) -> Value {
    serde_json::from_slice(&fs::read(file).expect("a report")).expect("it is JSON")
}

#[tokio::test]
#[expect(clippy::await_holding_lock, reason = "each test has a runtime of its own")]
async fn nothing_is_lost_while_a_fleet_is_restarted_scaled_and_its_servers_restart() {
    let _turn = one_after_another();
    let folder = Folder::new("drill");
    fs::create_dir_all(&folder.0).expect("a folder");
    let json = folder.0.join("report.json");
    let out = flotilla(&folder.0, &["--seed", "7", "--json", &json.display().to_string()]).await;
    let said = said(&out);
    assert!(out.status.success(), "{said}");

    let report = report(&json);
    assert_eq!(report["anomalies"], json!([]), "{said}");
    let steps = report["steps"].as_array().expect("steps");
    assert_eq!(steps.len(), 5, "{said}");
    for it in steps {
        assert!(it["longest_s"].as_f64() > Some(0.0), "nobody asked meanwhile: {it}");
    }
    assert!(report["commands"]["accepted"].as_u64() > Some(100), "{said}");

    // It is as if it had never been there.
    fs::remove_file(&json).expect("a file");
    let left: Vec<_> = fs::read_dir(&folder.0).expect("a folder").flatten().collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(servers_in(&folder.0), Vec::<String>::new());
}

#[tokio::test]
async fn a_fleet_that_runs_elsewhere_is_drilled_by_commands() {
    let fleet = Fleet::new().await;
    let _services = fleet.ready_process(&["customers-handler", "customers-aggregator"]).await;
    let bffs = [fleet.ready_process(&["bff"]).await, fleet.ready_process(&["bff"]).await];
    let folder = Folder::new("drill-elsewhere");
    fs::create_dir_all(&folder.0).expect("a folder");
    let (json, done) = (folder.0.join("report.json"), folder.0.join("done"));
    let mut arguments: Vec<String> = fleet.options();
    for it in &bffs {
        arguments.extend(["--bff".to_owned(), format!("http://{}", it.server().address)]);
    }
    arguments.extend(["--json".to_owned(), json.display().to_string()]);
    arguments.extend(["--step".to_owned(), format!("begin = touch '{}'", done.display())]);
    arguments.extend(["--step".to_owned(), format!("go on=test -e '{}'", done.display())]);
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let out = flotilla(&folder.0, &words).await;
    assert!(out.status.success(), "{}", said(&out));
    let report = report(&json);
    let steps: Vec<&Value> =
        report["steps"].as_array().expect("steps").iter().map(|it| &it["step"]).collect();
    assert_eq!(steps, [&json!("begin"), &json!("go on")]);
    assert!(report["commands"]["accepted"].as_u64() > Some(10), "{report}");

    // Of what was there before nobody knows what it should be.
    let out = flotilla(&folder.0, &words).await;
    assert!(!out.status.success());
    assert!(said(&out).contains("events already"), "{}", said(&out));

    // A step that fails ends it, and is named.
    let empty = Fleet::new().await;
    let _services = empty.ready_process(&["customers-handler", "customers-aggregator"]).await;
    let bff = empty.ready_process(&["bff"]).await;
    let mut arguments = empty.options();
    arguments.extend(["--bff".to_owned(), format!("http://{}", bff.server().address)]);
    arguments.extend(["--step".to_owned(), "break=exit 3".to_owned()]);
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let out = flotilla(&folder.0, &words).await;
    assert!(!out.status.success());
    assert!(said(&out).contains("the step \"break\" failed"), "{}", said(&out));
}

/// It is built by hand only (`next-release/build.sh`), as it is a second fleet to compile.
#[test]
fn the_patch_of_the_next_release_fits_this_one() {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let check = Command::new("git")
        .args(["apply", "--check", "services/fleet/next-release/release.patch"])
        .current_dir(crate_folder.join("../.."))
        .output();
    let check = check.expect("git runs");
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
}
