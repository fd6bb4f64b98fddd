//! What a request asks for, found out before it is executed: which operation, how many mutations, and whether its
//! values are fit for anything.
use crate::errors::{Code, Failure};
use async_graphql::{
    Name, Positioned, Value, Variables,
    parser::types::{
        DocumentOperations, ExecutableDocument, Field, OperationDefinition, OperationType,
        Selection, SelectionSet, VariableDefinition,
    },
};
use std::{
    collections::{BTreeMap, HashSet},
    convert::Infallible,
};

/// The operation that is to be executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Reads.
    Query,
    /// Sends so many commands.
    Mutation {
        /// Its fields, fragments expanded.
        fields: usize,
    },
    /// Not served over plain HTTP.
    Subscription {
        /// Its fields, fragments expanded.
        fields: usize,
    },
}

/// Finds out what the document asks for. It must have passed [`Limits::document`](crate::limits::Limits::document).
///
/// # Errors
/// An operation that cannot be determined, a required variable without a value, a text with U+0000 (no store
/// takes it), two mutations under one name (both would be executed, and one answer be lost).
pub fn examine(
    document: &ExecutableDocument,
    name: Option<&str>,
    variables: &Variables,
) -> Result<Operation, Failure> {
    let operation = &chosen(document, name)?.node;
    for definition in &operation.variable_definitions {
        required(&definition.node, variables)?;
    }
    let mut walk = Walk::new(document, operation, variables);
    walk.set(&operation.selection_set, true)?;
    match operation.ty {
        OperationType::Query => Ok(Operation::Query),
        OperationType::Subscription => Ok(Operation::Subscription { fields: walk.root.len() }),
        OperationType::Mutation => {
            let mut names = HashSet::new();
            for field in walk.root.iter().filter(|it| it.name.node != "__typename") {
                let name = &field.response_key().node;
                if !names.insert(name) {
                    let message = format!("two mutations are named {name}: give one an alias");
                    return Err(Failure::new(Code::InvalidDocument, message));
                }
            }
            Ok(Operation::Mutation { fields: names.len() })
        }
    }
}

fn chosen<'a>(
    document: &'a ExecutableDocument,
    name: Option<&str>,
) -> Result<&'a Positioned<OperationDefinition>, Failure> {
    let found = match (&document.operations, name) {
        (DocumentOperations::Single(operation), None) => Some(operation),
        (DocumentOperations::Multiple(all), None) if all.len() == 1 => all.values().next(),
        (DocumentOperations::Multiple(all), Some(name)) => all.get(name),
        _ => None,
    };
    found.ok_or_else(|| {
        let message = match name {
            Some(name) => format!("the document has no operation named {name:?}"),
            None => "the document has several operations: name one by operationName".to_owned(),
        };
        Failure::new(Code::InvalidDocument, message)
    })
}

fn required(definition: &VariableDefinition, variables: &Variables) -> Result<(), Failure> {
    let name = &definition.name.node;
    let given = variables.get(name).or(definition.default_value.as_ref().map(|it| &it.node));
    if definition.var_type.node.nullable || given.is_some_and(|it| *it != Value::Null) {
        return Ok(());
    }
    let message = format!("the variable {name} is required, of type {}", definition.var_type.node);
    Err(Failure::invalid(["variables", name.as_str()], message))
}

struct Walk<'a> {
    document: &'a ExecutableDocument,
    /// The variables that have U+0000 somewhere. Only these are put in the place where they are used, to tell
    /// that place: a large variable that is used often would be copied as often.
    tainted: BTreeMap<&'a Name, &'a Value>,
    /// The fragments whose values were looked at already.
    visited: HashSet<&'a str>,
    /// The fields at the root.
    root: Vec<&'a Field>,
}

impl<'a> Walk<'a> {
    fn new(
        document: &'a ExecutableDocument,
        operation: &'a OperationDefinition,
        variables: &'a Variables,
    ) -> Self {
        let defaults = operation.variable_definitions.iter().filter_map(|it| {
            it.node.default_value.as_ref().map(|default| (&it.node.name.node, &default.node))
        });
        let values = defaults.chain(variables.iter());
        let tainted = values.filter(|(_, value)| nul(value).is_some()).collect();
        Self { document, tainted, visited: HashSet::new(), root: Vec::new() }
    }

    fn set(&mut self, set: &'a Positioned<SelectionSet>, root: bool) -> Result<(), Failure> {
        for selection in &set.node.items {
            for directive in selection.node.directives() {
                for (name, value) in &directive.node.arguments {
                    self.value(
                        name,
                        value.node.clone().into_const_with(|it| Ok(self.variable(&it))),
                    )?;
                }
            }
            match &selection.node {
                Selection::Field(field) => {
                    if root {
                        self.root.push(&field.node);
                    }
                    for (name, value) in &field.node.arguments {
                        let value = value.node.clone().into_const_with(|it| Ok(self.variable(&it)));
                        self.value(name, value)?;
                    }
                    self.set(&field.node.selection_set, false)?;
                }
                Selection::InlineFragment(it) => self.set(&it.node.selection_set, root)?,
                Selection::FragmentSpread(it) => {
                    let name = it.node.fragment_name.node.as_str();
                    // Below the root once is enough, which keeps this linear. At the root, the limit on root
                    // fields bounds it.
                    if (self.visited.insert(name) || root)
                        && let Some(fragment) = self.document.fragments.get(name)
                    {
                        self.set(&fragment.node.selection_set, root)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn variable(&self, name: &Name) -> Value {
        self.tainted.get(name).map(|it| (*it).clone()).unwrap_or_default()
    }

    #[expect(clippy::unused_self, reason = "reads as a step of the walk")]
    fn value(
        &self,
        argument: &Positioned<Name>,
        value: Result<Value, Infallible>,
    ) -> Result<(), Failure> {
        let Ok(value) = value;
        let Some(path) = nul(&value) else { return Ok(()) };
        let message = "the text has the sign U+0000, which cannot be stored: take it out";
        Err(Failure::invalid(std::iter::once(argument.node.to_string()).chain(path), message))
    }
}

/// Where in the value there is a text with U+0000.
fn nul(value: &Value) -> Option<Vec<String>> {
    let below = |name: String, value| {
        let mut path = nul(value)?;
        path.insert(0, name);
        Some(path)
    };
    match value {
        Value::String(text) if text.contains('\0') => Some(Vec::new()),
        Value::List(all) => {
            all.iter().enumerate().find_map(|(index, it)| below(index.to_string(), it))
        }
        Value::Object(all) => all.iter().find_map(|(name, it)| below(name.to_string(), it)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_graphql::parser::parse_query;
    use serde_json::json;

    #[track_caller]
    fn examined(
        text: &str,
        name: Option<&str>,
        variables: serde_json::Value,
    ) -> Result<Operation, Failure> {
        examine(&parse_query(text).expect("parses"), name, &Variables::from_json(variables))
    }

    #[track_caller]
    fn refused(text: &str, variables: serde_json::Value) -> (Code, Vec<String>) {
        let failure = examined(text, None, variables).expect_err(text);
        let path = failure.details.into_iter().find(|(name, _)| *name == "path");
        let path = path.map_or(json!([]), |(_, it)| it.into_json().expect("JSON"));
        (failure.code, serde_json::from_value(path).expect("a path"))
    }

    #[test]
    fn mutations_are_counted_with_fragments_expanded() {
        let none = json!({});
        let fields = |text| examined(text, None, none.clone());
        assert_eq!(fields("{ a }"), Ok(Operation::Query));
        assert_eq!(fields("subscription { a }"), Ok(Operation::Subscription { fields: 1 }));
        assert_eq!(fields("mutation { a __typename }"), Ok(Operation::Mutation { fields: 1 }));
        let text = "mutation { a ...f ... { d } } fragment f on Mutation { b c: b }";
        assert_eq!(fields(text), Ok(Operation::Mutation { fields: 4 }));
    }

    #[test]
    fn the_named_operation_is_meant() {
        let text = "query A { a } mutation B { b }";
        assert_eq!(examined(text, Some("A"), json!({})), Ok(Operation::Query));
        assert_eq!(examined(text, Some("B"), json!({})), Ok(Operation::Mutation { fields: 1 }));
        assert_eq!(refused(text, json!({})).0, Code::InvalidDocument);
        assert!(examined(text, Some("C"), json!({})).is_err());
        assert!(examined("{ a }", Some("C"), json!({})).is_err());
    }

    #[test]
    fn two_mutations_of_one_name_are_refused() {
        let twice = "mutation { a(x: 1) ...f } fragment f on Mutation { a(x: 1) }";
        assert_eq!(refused(twice, json!({})).0, Code::InvalidDocument);
        let spread_twice = "mutation { ...f ...f } fragment f on Mutation { a }";
        assert_eq!(refused(spread_twice, json!({})).0, Code::InvalidDocument);
    }

    #[test]
    fn a_nul_is_found_wherever_it_is() {
        let path = |it: &[&str]| {
            (Code::InvalidInput, it.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>())
        };
        let literal = r#"{ a(input: { email: "x\u0000" }) }"#;
        assert_eq!(refused(literal, json!({})), path(&["input", "email"]));
        let variable = "query ($it: T) { a { b(input: $it) } }";
        let given = json!({ "it": { "emails": ["x", "y\0"] } });
        assert_eq!(refused(variable, given), path(&["input", "emails", "1"]));
        let default = r#"query ($it: T = "\u0000") { a(input: $it) }"#;
        assert_eq!(refused(default, json!({})), path(&["input"]));
        let fragment = r#"{ ...f } fragment f on Query { a @x(y: "\u0000") }"#;
        assert_eq!(refused(fragment, json!({})), path(&["y"]));
    }

    #[test]
    fn a_required_variable_must_have_a_value() {
        let path = || (Code::InvalidInput, vec!["variables".to_owned(), "id".to_owned()]);
        assert_eq!(refused("query ($id: UUID!) { a(id: $id) }", json!({})), path());
        assert_eq!(refused("query ($id: UUID!) { a(id: $id) }", json!({ "id": null })), path());
        assert!(examined("query ($id: UUID! = 1) { a(id: $id) }", None, json!({})).is_ok());
        assert!(examined("query ($id: UUID) { a(id: $id) }", None, json!({})).is_ok());
    }
}
