//! Alerts fire when they should, and tell whoever is woken what to do.
use super::{
    compose::root,
    promql::{known, parses},
};
use deploy::{
    alerts::{RUNBOOKS, alerts, commands, faults, untested},
    promql::Query,
};
use serde_json::Value;
use std::{collections::BTreeSet, fs, process::Command};

const RULES: &str = "k8s/components/observability/files/alerts.yml";
const OPERATOR: &str = "k8s/components/monitoring-operator/alerts.yaml";
const TESTS: &str = "services/deploy/tests/alerts.test.yml";

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

fn yaml(text: &str) -> Value {
    serde_norway::from_str(text).unwrap()
}

#[test]
fn nothing_is_wrong_with_them() {
    assert_eq!(faults(&yaml(&text(RULES)), &text(RUNBOOKS)), Vec::<String>::new());
    assert_eq!(untested(&yaml(&text(RULES)), &yaml(&text(TESTS))), Vec::<String>::new());
}

#[test]
fn every_expression_parses() {
    let alerts = alerts(&yaml(&text(RULES)));
    assert!(alerts.len() > 20, "only {} alerts", alerts.len());
    for it in alerts {
        parses(&it.name, &it.expression);
    }
}

#[test]
fn every_metric_is_measured() {
    let known = known();
    let mut faults = Vec::new();
    for it in alerts(&yaml(&text(RULES))) {
        // What they tell of is what their expressions keep: another test says so.
        let strange = known.strange(&Query::read(&it.expression).unwrap(), &BTreeSet::new());
        faults.extend(strange.into_iter().map(|what| format!("{}: {what}", it.name)));
    }
    assert_eq!(faults, Vec::<String>::new());
}

#[test]
fn every_fault_is_found() {
    let mut missed = Vec::new();
    for (from, to, expected) in [
        (
            "alert: FlotillaNotReady",
            "alert: FlotillaUnready",
            "FlotillaUnready: k8s/RUNBOOKS.md has no section",
        ),
        ("alert: FlotillaNotReady", "alert: FlotillaUnready", "no alert leads to FlotillaNotReady"),
        ("alert: FlotillaNotReady", "alert: FlotillaLag", "FlotillaLag is there twice"),
        ("#flotillanotready", "#not-ready", "its runbook is not k8s/RUNBOOKS.md#flotillanotready"),
        ("severity: critical", "severity: page", "severity page"),
        ("summary: \"an inst", "title: \"an inst", "FlotillaNotReady has no summary"),
        (
            "of {{ $labels.service }} is not ready",
            "of {{ $labels.code }} is not ready",
            "FlotillaNotReady tells of code",
        ),
        ("(flotilla_ready{job=\"flotilla\"})", "(flotilla_ready)", "flotilla_ready without job"),
        (
            "min by (namespace, service) (flotilla_ready",
            "min by (namespace, service) flotilla_ready",
            "FlotillaNotReady: \"(\" is missing",
        ),
    ] {
        let rules = text(RULES);
        assert!(rules.contains(from), "{from:?} is not there any more");
        let found = faults(&yaml(&rules.replacen(from, to, 1)), &text(RUNBOOKS)).join("\n");
        if !found.contains(expected) {
            missed.push(format!("{from:?}: expected {expected:?}, found {found:?}"));
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn a_missing_test_is_found() {
    for (from, expected) in [
        ("- expr: 'ALERTS{alertname=\"FlotillaLag\"", "no test in which it fires"),
        (
            "- expr: 'count_over_time(ALERTS{alertname=\"FlotillaLag\"",
            "no test in which it is silent",
        ),
    ] {
        let tests = text(TESTS);
        assert!(tests.contains(from), "{from:?} is not there any more");
        let tests = tests.replacen(from, &from.replace("Lag", "Leg"), 1);
        let found = untested(&yaml(&text(RULES)), &yaml(&tests));
        assert_eq!(found, [format!("FlotillaLag: {expected}")]);
    }
}

/// One text, twice: kustomize cannot put a file into an object.
#[test]
fn the_operator_has_the_same_rules() {
    let (rules, operator) = (text(RULES), text(OPERATOR));
    let head = &operator[..operator.find("  groups:\n").unwrap()];
    let groups = &rules[rules.find("groups:\n").unwrap()..];
    let indent = |line: &str| match line.trim() {
        "" => line.to_owned(),
        _ => format!("  {line}"),
    };
    let expected: String = groups.split_inclusive('\n').map(indent).collect();
    let expected = format!("{head}{expected}");
    if std::env::var("UPDATE_ALERTS").is_ok_and(|it| it == "1") {
        fs::write(root().join(OPERATOR), expected).unwrap();
        return;
    }
    assert!(
        operator == expected,
        "UPDATE_ALERTS=1 cargo test -p deploy alerts, and commit {OPERATOR}"
    );
    assert_eq!(yaml(&operator)["spec"], yaml(&rules));
}

/// With Prometheus' own tool: each on series on which it fires, and on series on which it does not.
#[test]
fn alerts_fire_when_they_should() {
    for arguments in [["check", "rules", RULES], ["test", "rules", TESTS]] {
        let run = Command::new("promtool").args(arguments).current_dir(root()).output();
        let Ok(output) = run else {
            eprintln!("skipped: promtool is not installed");
            return;
        };
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(output.status.success(), "promtool {arguments:?}: {said}");
    }
}

#[test]
fn commands_of_runbooks_are_found() {
    let found =
        commands("Run `flotilla views drop <view>`, not `kubectl get`; `flotilla status` …");
    assert_eq!(found, [vec!["views", "drop", "<view>"], vec!["status"]]);
    assert!(commands(&text(RUNBOOKS)).len() > 20);
}
