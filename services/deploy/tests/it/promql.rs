//! What an expression asks for is understood, or it is refused.
use super::compose::root;
use deploy::promql::{Known, Labels, Query, without_variables};
use std::{collections::BTreeSet, fs};

/// An expression's metrics with the labels that each must have, as `metric(label,label)`; then what its answer is told apart by.
fn check(expression: &str, uses: &[&str], labels: &str) {
    let query = Query::read(expression).unwrap();
    let found: Vec<String> = query
        .uses
        .iter()
        .map(|it| {
            let labels: Vec<&str> = it.labels.iter().map(String::as_str).collect();
            format!("{}({})", it.metric, labels.join(","))
        })
        .collect();
    assert_eq!(found, uses, "{expression}");
    let found = match query.labels {
        Labels::Number => "number".to_owned(),
        Labels::Of => "all".to_owned(),
        Labels::Only(it) => it.into_iter().collect::<Vec<_>>().join(","),
    };
    assert_eq!(found, labels, "{expression}");
}

#[test]
fn metrics_and_their_labels_are_found() {
    check("up", &["up()"], "all");
    check("up{job=\"a}\", pod!~'b',}", &["up(job,pod)"], "all");
    check("sum(rate(a_total{x=\"1\"}[5m] offset 1h)) by (y)", &["a_total(x,y)"], "y");
    check("sum without (y) (a)", &["a(y)"], "all");
    check("max by (x) (a - b{y=\"\"})", &["a(x)", "b(x,y)"], "x");
    check("sum by (x) (a) / on (x) sum by (x, y) (b)", &["a(x)", "b(x,y)"], "x");
    check("a / ignoring (z) group_left b", &["a(z)", "b(z)"], "all");
    check(
        "histogram_quantile(0.9, sum by (x, le) (rate(a_bucket[$__rate_interval])))",
        &["a_bucket(le,x)"],
        "x",
    );
    check("topk(3, sum by (x) (a)) > bool 1e-3", &["a(x)"], "x");
    check("a unless b or on () vector(1)", &["a()", "b()"], "all");
    check("time() - -2 ^ 3", &[], "number");
    check("max_over_time(sum(a)[1h:5m]) # sum(b)", &["a()"], "");
    check("sum by (x) (a) or sum by (y) (b)", &["a(x)", "b(y)"], "x,y");
    check("count(sum by (x) (a))", &["a(x)"], "");
}

#[test]
fn what_is_not_understood_is_an_error() {
    for (expression, expected) in [
        ("{job=\"a\"}", "no name"),
        ("label_replace(a, \"x\", \"$1\", \"y\", \"(.*)\")", "label_replace is not understood"),
        ("count_values(\"x\", a)", "count_values is not understood"),
        ("a * on (x) group_left (y) b", "group_left"),
        ("sum by ($label) (a)", "$label could be anything"),
        ("rate(a[$range])", "$range could be anything"),
        ("a{x=y}", "where a text is expected"),
        ("sum(a", "missing"),
        ("a b", "follows the end"),
        ("a{x=\"1}", "not closed"),
        ("a ? b", "no word"),
        ("", "ends too early"),
    ] {
        let error = Query::read(expression).unwrap_err();
        assert!(error.contains(expected), "{expression} gives: {error}");
    }
}

/// Can be read as Prometheus would get it.
#[track_caller]
pub(super) fn parses(place: &str, expression: &str) {
    let query = Query::read(&without_variables(expression));
    let query = query.unwrap_or_else(|error| panic!("{place}: {error}"));
    assert!(!query.uses.is_empty(), "{place} asks for nothing: {expression}");
}

/// The metrics of the README's table, which another test compares with the programs', and a few of others.
pub(super) fn known() -> Known {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let begins = readme.find("<!-- metrics: begin -->").unwrap();
    let ends = readme.find("<!-- metrics: end -->").unwrap();
    let mut known = Known::default();
    let count = known.add_table(&readme[begins..ends]);
    assert!(count > 30, "only {count} metrics");
    known
}

#[test]
fn what_nobody_measures_is_found() {
    let strange = |expression: &str, shown: &str| {
        let shown: BTreeSet<String> = shown.split_whitespace().map(str::to_owned).collect();
        known().strange(&Query::read(expression).unwrap(), &shown).join(", ")
    };
    assert_eq!(strange("sum by (service, pod) (flotilla_lag{partition=\"a/1\"})", "service"), "");
    assert_eq!(strange("sum by (le) (flotilla_commit_duration_seconds_bucket)", ""), "");
    assert_eq!(
        strange("flotilla_commit_duration_seconds", ""),
        "nobody measures flotilla_commit_duration_seconds"
    );
    assert_eq!(strange("flotilla_lags + flotilla_lag", ""), "nobody measures flotilla_lags");
    assert_eq!(strange("sum by (code) (flotilla_lag)", ""), "flotilla_lag has no label code");
    assert_eq!(strange("flotilla_lag{view=\"a\"}", ""), "flotilla_lag has no label view");
    assert_eq!(strange("rate(flotilla_lag[5m])", "view"), "flotilla_lag has no label view");
    assert_eq!(
        strange("sum by (le) (flotilla_fenced_total)", ""),
        "flotilla_fenced_total has no label le"
    );
}
