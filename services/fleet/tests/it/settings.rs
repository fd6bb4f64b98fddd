//! Options that cannot be, and topics that are not as they are told to be.
use crate::fleet::Fleet;
use std::process::Command;

fn refusal(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flotilla"));
    let out = command.args(arguments).output().expect("it runs");
    assert!(!out.status.success(), "{arguments:?} was taken");
    String::from_utf8_lossy(&out.stderr).into_owned()
}

#[tokio::test]
async fn another_partition_count_is_refused_with_the_reason() {
    let fleet = Fleet::bare(&::fleet::stack::shared().await.expect("a stack"));
    let mut options = fleet.options();
    let flotilla = |command: &[&str], options: &[String]| {
        let options = options.iter().map(String::as_str);
        command.iter().copied().chain(options).map(str::to_owned).collect::<Vec<_>>()
    };
    let run = |arguments: &[String]| {
        Command::new(env!("CARGO_BIN_EXE_flotilla")).args(arguments).output().expect("it runs")
    };
    // Twice: what is there is verified.
    for _ in 0..2 {
        let out = run(&flotilla(&["migrate"], &options));
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }
    *options.last_mut().expect("an option") = "5".to_owned();
    let health = ["--health".to_owned(), crate::fleet::free_address().to_string()];
    for command in
        [&["migrate"][..], &["run", "customers-handler"], &["run", "customers-aggregator"]]
    {
        let mut arguments = flotilla(command, &options);
        if command[0] == "run" {
            arguments.extend(health.clone());
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let said = refusal(&arguments);
        for part in ["has 3 partitions, not 5", "FLOTILLA_PARTITIONS=3", "streams would move"] {
            assert!(said.contains(part), "{command:?}: {said}");
        }
    }
}

#[test]
fn what_is_malformed_is_refused_with_its_name_and_an_example() {
    for (option, value, example) in [
        ("--kafka-brokers", "nowhere", "kafka-1:9092"),
        ("--schema-registry-url", "registry", "http://registry:8080"),
        ("--database-url", "mysql://x", "postgres://user"),
        ("--namespace", "Ä", "staging_"),
        ("--partitions", "0", "1..=256"),
        ("--graphql-read-time", "5", "5s"),
        ("--http", "8080", "--http"),
    ] {
        let said = refusal(&["run", "bff", option, value]);
        assert!(said.contains(option) && said.contains(example), "{said}");
        assert!(said.contains(value), "{said}");
    }
    let said = refusal(&["run", "teapot"]);
    assert!(said.contains("teapot") && said.contains("customers-handler"), "{said}");
    let out = Command::new(env!("CARGO_BIN_EXE_flotilla"))
        .args(["migrate"])
        .env("FLOTILLA_PARTITIONS", "many")
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(said.contains("many") && said.contains("--partitions"), "{said}");
}
