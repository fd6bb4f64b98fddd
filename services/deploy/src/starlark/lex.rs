//! From text to tokens; the depth of lines becomes tokens of its own.

/// A token and its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) line: usize,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Name(String),
    Int(i64),
    Text(String),
    Sign(&'static str),
    Newline,
    Indent,
    Dedent,
    End,
}

/// Longer ones first.
const SIGNS: [&str; 26] = [
    "==", "!=", "<=", ">=", "+=", "//", "(", ")", "[", "]", "{", "}", ",", ":", ".", "=", "+", "-",
    "*", "%", "<", ">", ";", "/", "|", "&",
];

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
    /// How many brackets are open: within them lines do not end.
    depth: usize,
    indents: Vec<usize>,
    tokens: Vec<Token>,
}

/// The tokens of a program.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut it = Lexer { rest: text, line: 1, depth: 0, indents: vec![0], tokens: Vec::new() };
    let mut at_start = true;
    while !it.rest.is_empty() {
        if at_start && it.depth == 0 {
            it.indentation()?;
            at_start = false;
        } else {
            at_start = it.next()?;
        }
    }
    it.push(Kind::Newline);
    while it.indents.pop().is_some_and(|it| it > 0) {
        it.push(Kind::Dedent);
    }
    it.push(Kind::End);
    Ok(it.tokens)
}

impl Lexer<'_> {
    fn push(&mut self, kind: Kind) {
        // Empty lines are none.
        let empty = matches!(self.tokens.last().map(|it| &it.kind), None | Some(Kind::Newline));
        if kind != Kind::Newline || !empty {
            self.tokens.push(Token { line: self.line, kind });
        }
    }

    fn skip(&mut self, bytes: usize) {
        self.line += self.rest[..bytes].matches('\n').count();
        self.rest = &self.rest[bytes..];
    }

    fn indentation(&mut self) -> Result<(), String> {
        let width = self.rest.len() - self.rest.trim_start_matches(' ').len();
        self.skip(width);
        if self.rest.is_empty() || self.rest.starts_with(['\n', '#', '\r']) {
            return Ok(());
        }
        let last = self.indents.last().copied().unwrap_or_default();
        if width > last {
            self.indents.push(width);
            self.push(Kind::Indent);
        }
        while self.indents.last().is_some_and(|it| *it > width) {
            self.indents.pop();
            self.push(Kind::Dedent);
        }
        if self.indents.last() == Some(&width) {
            Ok(())
        } else {
            Err(format!("line {}: it is as deep as no block around it", self.line))
        }
    }

    /// Takes one token; says whether a line has ended.
    fn next(&mut self) -> Result<bool, String> {
        let Some(first) = self.rest.chars().next() else { return Ok(false) };
        match first {
            '\n' => {
                if self.depth == 0 {
                    self.push(Kind::Newline);
                }
                self.skip(1);
                return Ok(true);
            }
            ' ' | '\t' | '\r' => self.skip(1),
            '\\' if self.rest.starts_with("\\\n") => self.skip(2),
            '#' => self.skip(self.rest.find('\n').unwrap_or(self.rest.len())),
            '\'' | '"' => self.string(first)?,
            '0'..='9' => {
                let end =
                    self.rest.find(|it: char| !it.is_ascii_digit()).unwrap_or(self.rest.len());
                let number = self.rest[..end].parse();
                self.push(Kind::Int(
                    number.map_err(|error| format!("line {}: {error}", self.line))?,
                ));
                self.skip(end);
            }
            _ if first.is_ascii_alphabetic() || first == '_' => {
                let is_part = |it: char| it.is_ascii_alphanumeric() || it == '_';
                let end = self.rest.find(|it| !is_part(it)).unwrap_or(self.rest.len());
                self.push(Kind::Name(self.rest[..end].to_owned()));
                self.skip(end);
            }
            _ => self.sign()?,
        }
        Ok(false)
    }

    fn sign(&mut self) -> Result<(), String> {
        let found = SIGNS.into_iter().find(|it| self.rest.starts_with(it));
        let sign = found.ok_or_else(|| {
            format!("line {}: {:?} means nothing", self.line, self.rest.chars().next())
        })?;
        match sign {
            "(" | "[" | "{" => self.depth += 1,
            ")" | "]" | "}" => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        self.push(Kind::Sign(sign));
        self.skip(sign.len());
        Ok(())
    }

    fn string(&mut self, quote: char) -> Result<(), String> {
        let long = quote.to_string().repeat(3);
        let end = if self.rest.starts_with(&long) { long } else { quote.to_string() };
        let line = self.line;
        self.skip(end.len());
        let mut text = String::new();
        loop {
            let unclosed = || format!("line {line}: the string does not end");
            if self.rest.starts_with(&end) {
                self.skip(end.len());
                break;
            }
            let char = self.rest.chars().next().ok_or_else(unclosed)?;
            if char == '\n' && end.len() == 1 {
                return Err(unclosed());
            }
            self.skip(char.len_utf8());
            if char != '\\' {
                text.push(char);
                continue;
            }
            let escaped = self.rest.chars().next().ok_or_else(unclosed)?;
            self.skip(escaped.len_utf8());
            match escaped {
                'n' => text.push('\n'),
                't' => text.push('\t'),
                '\n' => {}
                '\\' | '\'' | '"' => text.push(escaped),
                other => return Err(format!("line {line}: \\{other} is no escape")),
            }
        }
        self.tokens.push(Token { line, kind: Kind::Text(text) });
        Ok(())
    }
}
