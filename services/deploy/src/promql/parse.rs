//! From words to what is asked for.
use super::{Labels, Query, Use, lex::Token};
use std::collections::BTreeSet;

const AGGREGATIONS: &[&str] = &[
    "sum", "avg", "min", "max", "count", "group", "stddev", "stdvar", "topk", "bottomk", "quantile",
];
const OPERATORS: &[&str] = &[
    "+", "-", "*", "/", "%", "^", "==", "!=", ">", "<", ">=", "<=", "and", "or", "unless", "atan2",
];
/// They make labels out of texts.
const NOT_UNDERSTOOD: &[&str] = &["label_replace", "label_join", "count_values", "info"];

pub(super) fn query(tokens: &[Token]) -> Result<Query, String> {
    let mut words = Words { tokens, at: 0 };
    let query = words.expression()?;
    match words.tokens.get(words.at) {
        None => Ok(query),
        Some(it) => Err(format!("{it:?} follows the end")),
    }
}

struct Words<'a> {
    tokens: &'a [Token],
    at: usize,
}

impl Words<'_> {
    fn is_sign(&self, sign: &str) -> bool {
        matches!(self.tokens.get(self.at), Some(Token::Sign(it)) if *it == sign)
    }

    fn takes(&mut self, word: &str) -> bool {
        let is_it = match self.tokens.get(self.at) {
            Some(Token::Sign(it)) => *it == word,
            Some(Token::Name(it)) => it == word,
            _ => false,
        };
        self.at += usize::from(is_it);
        is_it
    }

    fn one_of(&mut self, words: &[&'static str]) -> Option<&'static str> {
        words.iter().find(|it| self.takes(it)).copied()
    }

    fn expect(&mut self, sign: &str) -> Result<(), String> {
        if self.takes(sign) {
            return Ok(());
        }
        Err(format!("{sign:?} is missing before {:?}", self.tokens.get(self.at)))
    }

    fn next(&mut self) -> Result<&Token, String> {
        let it = self.tokens.get(self.at).ok_or("it ends too early")?;
        self.at += 1;
        Ok(it)
    }

    /// Operands and operators in a row.
    fn expression(&mut self) -> Result<Query, String> {
        let mut all = self.operand()?;
        while let Some(operator) = self.one_of(OPERATORS) {
            self.takes("bool");
            let on = self.takes("on");
            let matched = if on || self.takes("ignoring") { Some(self.names()?) } else { None };
            let grouped = self.one_of(&["group_left", "group_right"]);
            if grouped.is_some() && self.is_sign("(") {
                // Labels that only one of the sides has.
                return Err("group_left with labels is not understood".to_owned());
            }
            let mut other = self.operand()?;
            let matched = matched.unwrap_or_default();
            for it in all.uses.iter_mut().chain(&mut other.uses) {
                it.labels.extend(matched.iter().cloned());
            }
            all.labels = match (all.labels, other.labels) {
                (Labels::Number, labels) | (labels, Labels::Number) => labels,
                (Labels::Only(one), Labels::Only(other)) if operator == "or" => {
                    Labels::Only(&one | &other)
                }
                (one, Labels::Of) if operator == "or" && one != Labels::Of => Labels::Of,
                (_, many) if grouped == Some("group_right") => many,
                (Labels::Of, _) if on && grouped.is_none() => Labels::Only(matched),
                (one, _) => one,
            };
            all.uses.extend(other.uses);
        }
        Ok(all)
    }

    fn operand(&mut self) -> Result<Query, String> {
        while self.one_of(&["+", "-"]).is_some() {}
        let query = self.primary()?;
        loop {
            if self.takes("[") {
                while !self.takes("]") {
                    if !matches!(self.next()?, Token::Number | Token::Sign(":")) {
                        return Err("no duration in brackets".to_owned());
                    }
                }
            } else if self.takes("offset") || self.takes("@") {
                self.takes("-");
                match self.next()? {
                    Token::Number => {}
                    other => return Err(format!("{other:?} where a time is expected")),
                }
            } else {
                return Ok(query);
            }
        }
    }

    fn primary(&mut self) -> Result<Query, String> {
        if self.takes("(") {
            let query = self.expression()?;
            self.expect(")")?;
            return Ok(query);
        }
        if self.is_sign("{") {
            return Err("a metric has no name".to_owned());
        }
        let name = match self.next()? {
            Token::Number | Token::Text(_) => {
                return Ok(Query { uses: Vec::new(), labels: Labels::Number });
            }
            Token::Name(name) => name.clone(),
            Token::Sign(it) => return Err(format!("{it:?} where an operand is expected")),
        };
        if NOT_UNDERSTOOD.contains(&name.as_str()) {
            return Err(format!("{name} is not understood"));
        }
        if AGGREGATIONS.contains(&name.as_str()) {
            // These choose among series, and keep them as they are.
            return self.aggregation(["topk", "bottomk"].contains(&name.as_str()));
        }
        if self.is_sign("(") {
            let mut query = self.arguments()?;
            if name.starts_with("histogram_") {
                if let Labels::Only(labels) = &mut query.labels {
                    labels.remove("le");
                }
            } else if ["time", "vector", "scalar"].contains(&name.as_str()) {
                query.labels = Labels::Number;
            }
            return Ok(query);
        }
        self.selector(name)
    }

    fn aggregation(&mut self, keeps_labels: bool) -> Result<Query, String> {
        let mut grouping = self.grouping()?;
        let mut query = self.arguments()?;
        if grouping.is_none() {
            grouping = self.grouping()?;
        }
        let (is_by, labels) = grouping.unwrap_or((true, BTreeSet::new()));
        for it in &mut query.uses {
            it.labels.extend(labels.iter().cloned());
        }
        query.labels = match (is_by, query.labels) {
            (_, labels) if keeps_labels => labels,
            (true, _) => Labels::Only(labels),
            (false, Labels::Only(before)) => Labels::Only(&before - &labels),
            (false, before) => before,
        };
        Ok(query)
    }

    fn grouping(&mut self) -> Result<Option<(bool, BTreeSet<String>)>, String> {
        match self.one_of(&["by", "without"]) {
            Some(word) => Ok(Some((word == "by", self.names()?))),
            None => Ok(None),
        }
    }

    /// In brackets; together they ask for what each asks for.
    fn arguments(&mut self) -> Result<Query, String> {
        self.expect("(")?;
        let mut all = Query { uses: Vec::new(), labels: Labels::Number };
        while !self.takes(")") {
            let one = self.expression()?;
            all.uses.extend(one.uses);
            if one.labels != Labels::Number {
                all.labels = one.labels;
            }
            if !self.is_sign(")") {
                self.expect(",")?;
            }
        }
        Ok(all)
    }

    fn names(&mut self) -> Result<BTreeSet<String>, String> {
        self.expect("(")?;
        let mut names = BTreeSet::new();
        while !self.takes(")") {
            match self.next()? {
                Token::Name(name) => drop(names.insert(name.clone())),
                other => return Err(format!("{other:?} where a label is expected")),
            }
            if !self.is_sign(")") {
                self.expect(",")?;
            }
        }
        Ok(names)
    }

    fn selector(&mut self, metric: String) -> Result<Query, String> {
        let mut matchers = Vec::new();
        if self.takes("{") {
            while !self.takes("}") {
                let label = match self.next()? {
                    Token::Name(label) => label.clone(),
                    other => return Err(format!("{other:?} where a label is expected")),
                };
                let operator = self.one_of(&["=", "!=", "=~", "!~"]);
                let operator = operator.ok_or_else(|| format!("{label} is matched by nothing"))?;
                match self.next()? {
                    Token::Text(text) => matchers.push((label, operator.to_owned(), text.clone())),
                    other => return Err(format!("{other:?} where a text is expected")),
                }
                if !self.is_sign("}") {
                    self.expect(",")?;
                }
            }
        }
        let labels = matchers.iter().map(|(label, ..)| label.clone()).collect();
        Ok(Query { uses: vec![Use { metric, matchers, labels }], labels: Labels::Of })
    }
}
