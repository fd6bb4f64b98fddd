//! Dashboards: what their panels ask for, and what would show nothing.
use crate::{
    alerts::counted,
    promql::{Labels, Query},
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Every dashboard by its file's name.
pub type Dashboards = BTreeMap<String, Value>;

/// An expression of a panel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression {
    /// `fleet.json: How many requests?`
    pub place: String,
    /// In `PromQL`, with Grafana's variables.
    pub text: String,
    /// Labels that its legend names.
    pub legend: BTreeSet<String>,
}

/// All of a dashboard's, those of its variables too.
#[must_use]
pub fn expressions(file: &str, dashboard: &Value) -> Vec<Expression> {
    let mut found = Vec::new();
    for panel in list(&dashboard["panels"]) {
        let place = format!("{file}: {}", text(&panel["title"]));
        for it in list(&panel["targets"]) {
            let legend = text(&it["legendFormat"]).split("{{").skip(1);
            let legend = legend.filter_map(|it| Some(it.split_once("}}")?.0.trim().to_owned()));
            let text = text(&it["expr"]).to_owned();
            found.push(Expression { place: place.clone(), text, legend: legend.collect() });
        }
    }
    for it in list(&dashboard["templating"]["list"]) {
        let asked = text(&it["query"]["query"]);
        let asked = asked.strip_prefix("label_values(").and_then(|it| it.strip_suffix(')'));
        if let Some((asked, label)) = asked.and_then(|it| it.rsplit_once(',')) {
            found.push(Expression {
                place: format!("{file}: ${}", text(&it["name"])),
                text: asked.to_owned(),
                legend: BTreeSet::from([label.trim().to_owned()]),
            });
        }
    }
    found
}

/// Everything that is wrong with them, in words; `sources` are the uids of the data sources.
#[must_use]
pub fn faults(dashboards: &Dashboards, sources: &BTreeSet<String>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut uids = BTreeSet::new();
    for (file, it) in dashboards {
        let uid = text(&it["uid"]);
        if uid.is_empty() || !uids.insert(uid) {
            faults.push(format!("{file}: the uid {uid:?} is none, or another's"));
        }
        if it.get("__inputs").is_some() || it.get("id").is_some_and(|it| !it.is_null()) {
            faults.push(format!("{file} was exported for somebody else: __inputs, or an id"));
        }
        for panel in list(&it["panels"]) {
            faults.extend(empty(panel).into_iter().map(|what| format!("{file}: {what}")));
        }
        let mut asked = BTreeSet::new();
        data_sources(it, &mut asked);
        for uid in asked.difference(sources) {
            faults.push(format!("{file}: {uid} is no data source"));
        }
        faults.extend(overlaps(list(&it["panels"])).map(|what| format!("{file}: {what}")));
        faults.extend(variables(it).map(|what| format!("{file}: {what}")));
        for it in expressions(file, it) {
            faults.extend(asks(&it).into_iter().map(|what| format!("{}: {what}", it.place)));
        }
    }
    faults
}

/// What the panel lacks.
fn empty(panel: &Value) -> Vec<String> {
    let title = text(&panel["title"]);
    let mut faults = Vec::new();
    if title.is_empty() {
        faults.push("a panel has no title".to_owned());
    }
    if text(&panel["description"]).is_empty() {
        faults.push(format!("{title} does not say what to do"));
    }
    if text(&panel["type"]) == "text" {
        if text(&panel["options"]["content"]).is_empty() {
            faults.push(format!("{title} is empty"));
        }
        return faults;
    }
    let targets = list(&panel["targets"]);
    if targets.is_empty() || targets.iter().any(|it| text(&it["expr"]).trim().is_empty()) {
        faults.push(format!("{title} asks for nothing"));
    }
    let refs: BTreeSet<_> = targets.iter().map(|it| text(&it["refId"])).collect();
    if refs.len() < targets.len() {
        faults.push(format!("{title}: a refId comes twice"));
    }
    if panel["datasource"]["uid"].as_str().is_none() {
        faults.push(format!("{title} has no data source"));
    }
    let defaults = &panel["fieldConfig"]["defaults"];
    let has_unit = defaults["unit"].is_string() || defaults["mappings"].is_array();
    if text(&panel["type"]) != "table" && !has_unit {
        faults.push(format!("{title} has no unit"));
    }
    faults
}

fn data_sources(value: &Value, found: &mut BTreeSet<String>) {
    if let Some(it) = value.get("datasource") {
        let uid = it["uid"].as_str().or(it.as_str()).unwrap_or("nobody");
        found.insert(uid.to_owned());
    }
    match value {
        Value::Object(members) => members.values().for_each(|it| data_sources(it, found)),
        Value::Array(members) => members.iter().for_each(|it| data_sources(it, found)),
        _ => {}
    }
}

/// Panels that lie over others, are outside of the 24 columns, or have another's id.
fn overlaps(panels: &[Value]) -> impl Iterator<Item = String> {
    let mut faults = Vec::new();
    let mut taken: BTreeMap<(i64, i64), &str> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for panel in panels {
        let title = text(&panel["title"]);
        let at = |key: &str| panel["gridPos"][key].as_i64().unwrap_or(-1);
        let (left, top, width, height) = (at("x"), at("y"), at("w"), at("h"));
        if left < 0 || top < 0 || width < 1 || height < 1 || left + width > 24 {
            faults.push(format!("{title} is not within the page"));
            continue;
        }
        if !ids.insert(panel["id"].as_i64()) {
            faults.push(format!("{title} has the id of another panel"));
        }
        let cells = (left..left + width).flat_map(|x| (top..top + height).map(move |y| (x, y)));
        let over: BTreeSet<&str> = cells.filter_map(|it| taken.insert(it, title)).collect();
        faults.extend(over.into_iter().map(|other| format!("{title} lies over {other}")));
    }
    faults.into_iter()
}

/// Variables that nothing defines, and those that nothing uses.
fn variables(dashboard: &Value) -> impl Iterator<Item = String> {
    let defined: BTreeSet<&str> =
        list(&dashboard["templating"]["list"]).iter().map(|it| text(&it["name"])).collect();
    let mut used = BTreeSet::new();
    for it in expressions("", dashboard) {
        let names = it.text.split('$').skip(1).map(|it| {
            let ends = it.find(|it: char| !(it.is_ascii_alphanumeric() || it == '_'));
            it[..ends.unwrap_or(it.len())].to_owned()
        });
        // Grafana's own begin with two of these.
        used.extend(names.filter(|it| !it.starts_with("__")));
    }
    let faults: Vec<String> = used
        .iter()
        .filter(|it| !defined.contains(it.as_str()))
        .map(|it| format!("nothing defines ${it}"))
        .chain(
            defined
                .iter()
                .filter(|it| !used.contains(**it))
                .map(|it| format!("nothing uses ${it}")),
        )
        .collect();
    faults.into_iter()
}

fn asks(it: &Expression) -> Vec<String> {
    let query = match Query::read(&it.text) {
        Ok(query) => query,
        Err(error) => return vec![error],
    };
    let mut faults: Vec<String> = counted(&query).collect();
    if let Labels::Only(labels) = &query.labels {
        let missing = it.legend.difference(labels);
        faults.extend(missing.map(|it| format!("the legend names {it}, which is not kept")));
    }
    faults
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
