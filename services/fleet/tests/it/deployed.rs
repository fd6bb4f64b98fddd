//! Whatever starts the fleet elsewhere (manifests, the compose file) calls it as it wants to be called, and starts all of it.
use ::fleet::{cli::options::misunderstood, services};
use deploy::{
    compose,
    kubernetes::{overlay, overlays, programs},
    kustomize::Files,
};
use std::collections::{BTreeMap, BTreeSet};

type Environment = BTreeMap<String, Option<String>>;

/// The services of the fleet.
fn ours() -> BTreeSet<String> {
    services::all(bff::Config::default()).iter().map(|it| it.name().to_owned()).collect()
}

/// The services that calls of the program start.
fn started<'a>(calls: impl Iterator<Item = &'a Vec<String>>) -> BTreeSet<String> {
    let run = calls.filter(|it| it.first().is_some_and(|it| it == "run"));
    run.flat_map(|it| &it[1..]).cloned().collect()
}

#[test]
fn manifests_call_the_program_as_it_wants_to_be_called() {
    let files = Files::of_the_repository();
    let names = overlays(&files).expect("overlays");
    assert!(names.len() > 1, "{names:?}");
    for name in names {
        let all = programs(&overlay(&files, &name).expect("it can be rendered"));
        assert_eq!(started(all.iter().map(|it| &it.args)), ours(), "{name}");
        for it in all {
            let wrong = misunderstood(&it.args, &it.env);
            assert_eq!(wrong, Vec::<String>::new(), "{name}: {}", it.workload);
        }
    }
}

#[test]
fn the_compose_file_calls_the_program_as_it_wants_to_be_called() {
    let text = Files::of_the_repository().read("docker-compose.yml").expect("the compose file");
    let read = compose::read(&text, &|_| None).expect("it can be read");
    let all = compose::programs(&read);
    assert_eq!(started(all.iter().map(|it| &it.args)), ours());
    for it in all {
        let wrong = misunderstood(&it.args, &it.environment);
        assert_eq!(wrong, Vec::<String>::new(), "{}", it.service);
    }
}

#[test]
fn what_the_program_does_not_understand_is_found() {
    let said = |arguments: &[&str], environment: &[(&str, &str)]| {
        let arguments: Vec<String> = arguments.iter().map(|it| (*it).to_owned()).collect();
        let pairs = environment.iter();
        let environment: Environment =
            pairs.map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned()))).collect();
        misunderstood(&arguments, &environment).join("\n")
    };
    assert_eq!(said(&["run", "bff"], &[("KAFKA_BROKERS", "kafka:9092"), ("RUST_LOG", "info")]), "");
    assert_eq!(said(&["migrate", "--wait"], &[("KAFKA_CA_FILE", "/not/here")]), "");
    for (arguments, environment, because) in [
        (&["run", "bff"][..], &[("KAFKA_BROKER", "kafka:9092")][..], "no variable KAFKA_BROKER"),
        (&["run", "bff"], &[("KAFKA_BROKERS", "kafka")], "not a list of host:port"),
        (&["run", "bff", "--no-such"], &[], "--no-such"),
        (&["rum", "bff"], &[], "rum"),
        (&["run", "bff"], &[("KAFKA_SECURITY_PROTOCOL", "tls")], "sasl_ssl"),
    ] {
        let said = said(arguments, environment);
        assert!(said.contains(because), "{arguments:?} {environment:?}: {said}");
    }
}
