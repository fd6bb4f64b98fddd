//! What a document may ask for. Checked before anything walks it, in time linear in its length: fragments that
//! double each other, or brackets without end, would take all time and stack there is.
use crate::errors::{Code, Failure};
use async_graphql::{
    Positioned,
    parser::types::{ExecutableDocument, Selection, SelectionSet},
};
use std::collections::HashMap;

/// How deep brackets may be nested: the parser takes stack for each.
const NESTING: usize = 64;
/// How deep selections may be nested, fragments expanded: the library takes no more.
const SELECTIONS: usize = 32;

/// How much of everything is allowed.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Words and signs of the document.
    pub tokens: usize,
    /// Fields selected, fragments expanded.
    pub fields: usize,
    /// Directives used, fragments expanded.
    pub directives: usize,
    /// Fields at the root of an operation.
    pub root_fields: usize,
    /// Fields within fields.
    pub depth: usize,
}

impl Limits {
    /// Checks the text of a document, before it is parsed.
    ///
    /// # Errors
    /// What there is too much of.
    pub fn text(&self, document: &str) -> Result<(), Failure> {
        let (tokens, nesting) = measure(document);
        if tokens > self.tokens {
            return Err(too_many("tokens", "words and signs", tokens, self.tokens));
        }
        if nesting > NESTING {
            return Err(too_deep("nesting", "brackets", nesting, NESTING));
        }
        Ok(())
    }

    /// Checks a document, before it is validated.
    ///
    /// # Errors
    /// What there is too much of, or a fragment that contains itself or does not exist.
    pub fn document(&self, document: &ExecutableDocument) -> Result<(), Failure> {
        let mut expansion = Expansion { document, fragments: HashMap::new() };
        let mut all = Size::default();
        for (_, operation) in document.operations.iter() {
            let size = expansion.of(&operation.node.selection_set)?;
            if size.root > self.root_fields {
                let (what, maximum) = ("fields at its root", self.root_fields);
                return Err(too_many("rootFields", what, size.root, maximum));
            }
            all = all.and(size);
            all.directives = all.directives.saturating_add(operation.node.directives.len());
        }
        if all.depth > self.depth {
            return Err(too_deep("depth", "fields", all.depth, self.depth));
        }
        if all.nesting > SELECTIONS {
            return Err(too_deep("nesting", "selections", all.nesting, SELECTIONS));
        }
        if all.fields > self.fields {
            let what = "fields, fragments expanded";
            return Err(too_many("fields", what, all.fields, self.fields));
        }
        if all.directives > self.directives {
            let what = "directives, fragments expanded";
            return Err(too_many("directives", what, all.directives, self.directives));
        }
        Ok(())
    }
}

fn too_many(limit: &'static str, what: &str, count: usize, maximum: usize) -> Failure {
    let message = format!("the document has {count} {what}, and at most {maximum} are allowed");
    Failure::limit(limit, maximum, message)
}

fn too_deep(limit: &'static str, what: &str, depth: usize, maximum: usize) -> Failure {
    let message =
        format!("the document nests {what} {depth} deep, and at most {maximum} are allowed");
    Failure::limit(limit, maximum, message)
}

/// Counts tokens and the deepest nesting of brackets. A text that is no document gets a number as well.
fn measure(text: &str) -> (usize, usize) {
    let bytes = text.as_bytes();
    let (mut tokens, mut depth, mut deepest, mut at) = (0, 0_usize, 0, 0);
    while let Some(&byte) = bytes.get(at) {
        let length = match byte {
            b' ' | b'\t' | b'\n' | b'\r' | b',' => 1,
            b'#' => bytes[at..].iter().take_while(|it| !matches!(it, b'\n' | b'\r')).count(),
            _ => {
                tokens += 1;
                match byte {
                    b'{' | b'[' | b'(' => {
                        depth += 1;
                        deepest = deepest.max(depth);
                        1
                    }
                    b'}' | b']' | b')' => {
                        depth = depth.saturating_sub(1);
                        1
                    }
                    b'"' => string(&bytes[at..]),
                    b'.' if bytes[at..].starts_with(b"...") => 3,
                    _ if is_word(byte) => bytes[at..].iter().take_while(|it| is_word(**it)).count(),
                    _ => 1,
                }
            }
        };
        at += length;
    }
    (tokens, deepest)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// The length of the string at the beginning of `bytes`.
fn string(bytes: &[u8]) -> usize {
    const BLOCK: &[u8] = b"\"\"\"";
    let block = bytes.starts_with(BLOCK);
    let mut at = if block { 3 } else { 1 };
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' if block => at += if bytes[at + 1..].starts_with(BLOCK) { 4 } else { 1 },
            b'\\' => at += 2,
            b'"' if !block => return at + 1,
            b'"' if bytes[at..].starts_with(BLOCK) => return at + 3,
            b'\n' | b'\r' if !block => return at,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[derive(Clone, Copy, Default)]
struct Size {
    root: usize,
    fields: usize,
    directives: usize,
    depth: usize,
    nesting: usize,
}

impl Size {
    fn and(self, other: Self) -> Self {
        Self {
            root: self.root.saturating_add(other.root),
            fields: self.fields.saturating_add(other.fields),
            directives: self.directives.saturating_add(other.directives),
            depth: self.depth.max(other.depth),
            nesting: self.nesting.max(other.nesting),
        }
    }
}

/// Sizes with fragments expanded; each fragment is measured once.
struct Expansion<'a> {
    document: &'a ExecutableDocument,
    /// `None` while a fragment is being measured.
    fragments: HashMap<&'a str, Option<Size>>,
}

impl<'a> Expansion<'a> {
    fn of(&mut self, set: &'a Positioned<SelectionSet>) -> Result<Size, Failure> {
        let mut size = Size::default();
        for selection in &set.node.items {
            let selected = match &selection.node {
                Selection::Field(field) => {
                    let below = self.of(&field.node.selection_set)?;
                    Size {
                        root: 1,
                        fields: below.fields.saturating_add(1),
                        depth: below.depth + 1,
                        ..below
                    }
                }
                Selection::InlineFragment(it) => self.of(&it.node.selection_set)?,
                Selection::FragmentSpread(it) => self.fragment(&it.node.fragment_name.node)?,
            };
            size = size.and(selected);
            size.directives = size.directives.saturating_add(selection.node.directives().len());
        }
        if !set.node.items.is_empty() {
            size.nesting += 1;
        }
        Ok(size)
    }

    fn fragment(&mut self, name: &'a str) -> Result<Size, Failure> {
        match self.fragments.get(name) {
            Some(Some(size)) => return Ok(*size),
            Some(None) => {
                let message = format!("the fragment {name} contains itself: take it out");
                return Err(Failure::new(Code::InvalidDocument, message));
            }
            None => {}
        }
        // One that does not exist would count for nothing, and could be spread without end.
        let Some(fragment) = self.document.fragments.get(name) else {
            let message = format!("the document has no fragment named {name}");
            return Err(Failure::new(Code::InvalidDocument, message));
        };
        self.fragments.insert(name, None);
        let size = self.of(&fragment.node.selection_set)?;
        self.fragments.insert(name, Some(size));
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_graphql::parser::parse_query;
    use std::fmt::Write;

    const LIMITS: Limits =
        Limits { tokens: 600, fields: 20, directives: 3, root_fields: 4, depth: 5 };

    #[track_caller]
    fn check(text: &str, limit: Option<&str>) {
        let checked =
            LIMITS.text(text).and_then(|()| LIMITS.document(&parse_query(text).expect("parses")));
        let exceeded = checked.err().map(|it| {
            let limit = it.details.iter().find(|(name, _)| *name == "limit");
            limit.map_or(it.message.clone(), |(_, value)| value.to_string())
        });
        assert_eq!(exceeded, limit.map(|it| format!("{it:?}")), "{text}");
    }

    #[test]
    fn what_is_small_passes() {
        check("{ a b { c } }", None);
        check("{ a @skip(if: true) ...f } fragment f on Query { b }", None);
        check("query A { a b c d } query B { a b c d }", None);
    }

    #[test]
    fn aliases_count_as_fields() {
        check("{ a b c d e }", Some("rootFields"));
        check("{ a: x b: x c: x d: x e: x }", Some("rootFields"));
        let mut wide = "{ x {".to_owned();
        for n in 0..20 {
            let _ = write!(wide, " a{n}: y");
        }
        check(&(wide + "} }"), Some("fields"));
    }

    #[test]
    fn fragments_that_double_each_other_are_counted_in_no_time() {
        let mut bomb = "{ x { ...f0 } }".to_owned();
        for n in 0..28 {
            let _ = write!(bomb, " fragment f{n} on X {{ ...f{} ...f{} }}", n + 1, n + 1);
        }
        bomb += " fragment f28 on X { y }";
        check(&bomb, Some("fields"));
    }

    #[test]
    fn depth_is_that_of_fields_and_nesting_that_of_fragments_too() {
        check("{ a { b { c { d { e } } } } }", None);
        check("{ a { b { c { d { e { f } } } } } }", Some("depth"));
        check("{ a { b { c { ...f } } } } fragment f on X { d { e { f } } }", Some("depth"));
        let mut chain = "{ ...f0 }".to_owned();
        for n in 0..40 {
            let _ = write!(chain, " fragment f{n} on X {{ ...f{} }}", n + 1);
        }
        check(&(chain + " fragment f40 on X { y }"), Some("nesting"));
    }

    #[test]
    fn a_fragment_that_contains_itself_is_refused() {
        let text = "{ ...a } fragment a on Query { ...b } fragment b on Query { x ...a }";
        let failure = LIMITS.document(&parse_query(text).expect("parses")).expect_err("a cycle");
        assert_eq!(failure.message, "the fragment a contains itself: take it out");
    }

    #[test]
    fn a_fragment_that_does_not_exist_is_refused() {
        let text = "{ ...a ...a } fragment a on Query { ...b ...b }";
        let failure = LIMITS.document(&parse_query(text).expect("parses")).expect_err("unknown");
        assert_eq!(failure.message, "the document has no fragment named b");
    }

    #[test]
    fn directives_are_counted() {
        check("{ a @x @x @x @x }", Some("directives"));
        check("{ a { ...f ...f } } fragment f on Query { b @x c @x }", Some("directives"));
    }

    #[test]
    fn nesting_is_measured_before_the_parser_takes_stack() {
        for open in ["{a", "[", "(a:{"] {
            let text = open.repeat(100_000);
            let all = Limits { tokens: usize::MAX, ..LIMITS };
            assert_eq!(all.text(&text).map_err(|it| it.code), Err(Code::LimitExceeded));
        }
    }

    #[test]
    fn tokens_are_counted_as_the_language_has_them() {
        assert_eq!(measure("{ a(b: 1, c: \"{{{ \\\" {{\") } # {{{{\n"), (11, 2));
        assert_eq!(measure("{a(b:\"\"\"{ \"\" \\\"\"\" {\"\"\")}"), (8, 2));
        assert_eq!(measure("\"never closed {{{"), (1, 0));
        assert_eq!(measure("\"a\\"), (1, 0));
        assert_eq!(measure(")))}}} ... é"), (8, 0));
        check(&"a ".repeat(601), Some("tokens"));
    }
}
