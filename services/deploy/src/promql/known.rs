//! Metrics that somebody measures, against which expressions are compared.
use super::{Labels, Query};
use std::collections::{BTreeMap, BTreeSet};

/// Labels that Prometheus gives to every series of the fleet.
const OF_TARGETS: &[&str] = &["instance", "job", "namespace", "pod", "service"];

/// Metrics of Prometheus, the kubelet, cert-manager and x509-certificate-exporter, as far as they are used.
const OF_OTHERS: &[(&str, &[&str])] = &[
    ("up", &[]),
    ("kubelet_volume_stats_available_bytes", &["persistentvolumeclaim"]),
    ("kubelet_volume_stats_capacity_bytes", &["persistentvolumeclaim"]),
    ("certmanager_certificate_expiration_timestamp_seconds", &["name"]),
    ("x509_cert_not_after", &["secret_name", "secret_namespace"]),
];

/// Metrics by name, with their labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known(BTreeMap<String, BTreeSet<String>>);

impl Default for Known {
    fn default() -> Self {
        let mut known = Self(BTreeMap::new());
        for (name, labels) in OF_OTHERS {
            known.add(name, false, labels.iter().map(|it| (*it).to_owned()));
        }
        known
    }
}

impl Known {
    /// Adds a metric under its name in Prometheus, which a histogram has three times.
    pub fn add(&mut self, name: &str, is_histogram: bool, labels: impl Iterator<Item = String>) {
        let labels: BTreeSet<String> =
            labels.chain(OF_TARGETS.iter().map(|it| (*it).to_owned())).collect();
        if is_histogram {
            let mut of_bucket = labels.clone();
            of_bucket.insert("le".to_owned());
            self.0.insert(format!("{name}_bucket"), of_bucket);
            self.0.insert(format!("{name}_sum"), labels.clone());
            self.0.insert(format!("{name}_count"), labels);
        } else {
            self.0.insert(name.to_owned(), labels);
        }
    }

    /// Adds those of the table in the README, a row each; how many there were.
    pub fn add_table(&mut self, markdown: &str) -> usize {
        let mut count = 0;
        for row in markdown.lines() {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let [_, name, kind, labels, ..] = cells.as_slice() else { continue };
            let name = name.strip_prefix('`').and_then(|it| it.strip_suffix('`'));
            let is_kind = ["counter", "gauge", "histogram"].contains(kind);
            if let (Some(name), true) = (name, is_kind) {
                let labels = labels.split(", ").filter(|it| !it.is_empty()).map(str::to_owned);
                self.add(name, *kind == "histogram", labels);
                count += 1;
            }
        }
        count
    }

    /// What a query asks for though nobody measures it, in words; `shown` are labels that its answer is read by.
    #[must_use]
    pub fn strange(&self, query: &Query, shown: &BTreeSet<String>) -> Vec<String> {
        let mut faults = Vec::new();
        for it in &query.uses {
            let Some(labels) = self.0.get(&it.metric) else {
                faults.push(format!("nobody measures {}", it.metric));
                continue;
            };
            let mut asked: BTreeSet<&String> = it.labels.iter().collect();
            if query.labels == Labels::Of {
                asked.extend(shown);
            }
            let missing = asked.into_iter().filter(|it| !labels.contains(*it));
            faults.extend(missing.map(|label| format!("{} has no label {label}", it.metric)));
        }
        faults
    }
}
