//! What a `PromQL` expression asks for: which metrics, by which of their labels, and which labels its answer has.
//!
//! It reads the whole grammar but does not check types, and the precedence of operators makes no difference to what is asked for.
//! What makes labels out of texts (`label_replace`, `label_join`, `count_values`), variables outside of texts and durations, and
//! metrics without a name are errors: better than an answer that misses some.
mod known;
mod lex;
mod parse;

pub use known::Known;

use std::collections::BTreeSet;

/// A metric in an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// As it stands there: with `_bucket` behind a histogram's name.
    pub metric: String,
    /// What its series are chosen by: label, operator, value.
    pub matchers: Vec<(String, String, String)>,
    /// Labels that series are chosen, grouped or matched by: the metric must have them.
    pub labels: BTreeSet<String>,
}

/// Labels of what an expression answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Labels {
    /// A number has none.
    Number,
    /// All that the metrics have.
    Of,
    /// At most these.
    Only(BTreeSet<String>),
}

/// What an expression asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Every metric, in order; one that comes twice is there twice.
    pub uses: Vec<Use>,
    /// What the answer is told apart by.
    pub labels: Labels,
}

impl Query {
    /// Reads an expression of a rule or, with Grafana's variables, of a dashboard.
    ///
    /// # Errors
    /// If it is none, or cannot be understood without running it.
    pub fn read(text: &str) -> Result<Self, String> {
        parse::query(&lex::tokens(text)?).map_err(|error| format!("{error} in {text:?}"))
    }
}

/// The expression with Grafana's durations as Prometheus would get them.
#[must_use]
pub fn without_variables(text: &str) -> String {
    ["$__rate_interval", "$__interval", "$__range"]
        .iter()
        .fold(text.to_owned(), |text, it| text.replace(it, "5m"))
}
