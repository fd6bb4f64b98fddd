//! Alerts: what they ask for, and whether somebody who is woken by one is told what to do.
use crate::promql::{Labels, Query};
use serde_json::Value;
use std::collections::BTreeSet;

/// Where runbooks are, seen from the top of the repository.
pub const RUNBOOKS: &str = "k8s/RUNBOOKS.md";

/// One alert of a rule file.
#[derive(Debug, Clone)]
pub struct Alert {
    /// Its name.
    pub name: String,
    /// When it fires.
    pub expression: String,
    /// All of the rule.
    pub rule: Value,
}

/// The alerts of a rule file, or of what a `PrometheusRule` specifies.
#[must_use]
pub fn alerts(rules: &Value) -> Vec<Alert> {
    let groups = rules["groups"].as_array().into_iter().flatten();
    let rules = groups.flat_map(|it| it["rules"].as_array().into_iter().flatten());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let alert = |rule: &Value| Alert {
        name: text(&rule["alert"]),
        expression: text(&rule["expr"]),
        rule: rule.clone(),
    };
    rules.map(alert).collect()
}

/// Everything that is wrong with a rule file, in words.
#[must_use]
pub fn faults(rules: &Value, runbooks: &str) -> Vec<String> {
    let alerts = alerts(rules);
    let mut faults = Vec::new();
    let mut names = BTreeSet::new();
    let sections: BTreeSet<&str> = sections(runbooks).collect();
    for it in &alerts {
        let name = &it.name;
        if !names.insert(name.as_str()) {
            faults.push(format!("{name} is there twice"));
        }
        if !sections.contains(name.as_str()) {
            faults.push(format!("{name}: {RUNBOOKS} has no section"));
        }
        faults.extend(told(it));
        match Query::read(&it.expression) {
            Ok(query) => faults.extend(counted(&query).map(|what| format!("{name}: {what}"))),
            Err(error) => faults.push(format!("{name}: {error}")),
        }
    }
    let unused = sections.difference(&names);
    faults.extend(unused.map(|it| format!("{RUNBOOKS}: no alert leads to {it}")));
    faults
}

/// Each alert with its own second-level heading.
fn sections(runbooks: &str) -> impl Iterator<Item = &str> {
    runbooks.lines().filter_map(|it| it.strip_prefix("## "))
}

fn told(it: &Alert) -> Vec<String> {
    let (name, rule) = (&it.name, &it.rule);
    let mut faults = Vec::new();
    let severity = rule["labels"]["severity"].as_str().unwrap_or("none");
    if !["critical", "warning"].contains(&severity) {
        faults.push(format!("{name}: severity {severity} is none that somebody acts on"));
    }
    for key in ["summary", "description"] {
        if rule["annotations"][key].as_str().is_none_or(str::is_empty) {
            faults.push(format!("{name} has no {key}"));
        }
    }
    let expected = format!("{RUNBOOKS}#{}", name.to_lowercase());
    if rule["annotations"]["runbook"] != expected.as_str() {
        faults.push(format!("{name}: its runbook is not {expected}"));
    }
    let Ok(Query { labels, .. }) = Query::read(&it.expression) else { return faults };
    let texts = rule["annotations"].as_object().into_iter().flatten();
    for label in texts.filter_map(|(_, it)| it.as_str()).flat_map(shown) {
        let is_there = match &labels {
            Labels::Number => false,
            Labels::Of => true,
            Labels::Only(labels) => labels.contains(label),
        };
        if !is_there {
            faults.push(format!("{name} tells of {label}, which its expression does not keep"));
        }
    }
    faults
}

/// Labels in `{{ $labels.x }}`.
fn shown(text: &str) -> impl Iterator<Item = &str> {
    let word = |it: &str| {
        it.find(|it: char| !(it.is_ascii_alphanumeric() || it == '_')).unwrap_or(it.len())
    };
    text.split("$labels.").skip(1).map(move |it| &it[..word(it)])
}

/// The metrics come by two ways, if a collector is there: only those that were asked for count.
pub(crate) fn counted(query: &Query) -> impl Iterator<Item = String> {
    let is_ours = |name: &str| {
        name == "up" || name.starts_with("flotilla_") || name.starts_with("messaging_")
    };
    let wanted = ("job".to_owned(), "=".to_owned(), "flotilla".to_owned());
    query
        .uses
        .iter()
        .filter(move |it| is_ours(&it.metric) && !it.matchers.contains(&wanted))
        .map(|it| format!("{} without job=\"flotilla\" counts twice", it.metric))
}

/// Alerts that a file of promtool's tests has no case for in which they fire, or none in which they never do.
#[must_use]
pub fn untested(rules: &Value, tests: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let cases: Vec<&Value> = tests["tests"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|it| it["promql_expr_test"].as_array().into_iter().flatten())
        .collect();
    for Alert { name, .. } in alerts(rules) {
        let firing = format!("ALERTS{{alertname=\"{name}\", alertstate=\"firing\"}}");
        let expects = |is_silent: bool| {
            cases.iter().any(|it| {
                let is_about = it["expr"].as_str().is_some_and(|it| it.contains(&firing));
                let samples = it["exp_samples"].as_array();
                is_about && samples.is_some_and(|it| it.is_empty() == is_silent)
            })
        };
        if !expects(false) {
            faults.push(format!("{name}: no test in which it fires"));
        }
        if !expects(true) {
            faults.push(format!("{name}: no test in which it is silent"));
        }
    }
    faults
}

/// Commands of ours in the code of a Markdown text: `flotilla dead-letters list` as its words.
#[must_use]
pub fn commands(markdown: &str) -> Vec<Vec<String>> {
    let code = markdown.split('`').skip(1).step_by(2);
    let ours = code.filter_map(|it| it.strip_prefix("flotilla "));
    ours.map(|it| it.split_whitespace().map(str::to_owned).collect()).collect()
}
