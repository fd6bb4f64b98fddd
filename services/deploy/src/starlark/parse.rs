//! From tokens to statements and expressions.
use super::{
    lex::{Kind, Token},
    value::Value,
};
use std::rc::Rc;

/// A statement and its line.
#[derive(Debug, Clone)]
pub(super) struct Statement {
    pub(super) line: usize,
    pub(super) kind: Does,
}

#[derive(Debug, Clone)]
pub(super) enum Does {
    Evaluate(Expression),
    Assign(Expression, Expression),
    Add(String, Expression),
    If(Expression, Vec<Statement>, Vec<Statement>),
    For(Vec<String>, Expression, Vec<Statement>),
    Define(Rc<Function>),
    Return(Option<Expression>),
    Pass,
}

/// A function of the program.
#[derive(Debug, Clone)]
pub struct Function {
    pub(super) name: String,
    pub(super) parameters: Vec<(String, Option<Expression>)>,
    pub(super) body: Vec<Statement>,
}

#[derive(Debug, Clone)]
pub(super) enum Expression {
    Constant(Value),
    Name(String),
    List(Vec<Expression>),
    Dict(Vec<(Expression, Expression)>),
    /// What, the names, and over what, and on what condition.
    Each(Box<Expression>, Vec<String>, Box<Expression>, Option<Box<Expression>>),
    Call(Box<Expression>, Vec<(Option<String>, Expression)>),
    Field(Box<Expression>, String),
    Index(Box<Expression>, Box<Expression>),
    Not(Box<Expression>),
    Minus(Box<Expression>),
    Two(Box<Expression>, &'static str, Box<Expression>),
    Choose(Box<Expression>, Box<Expression>, Box<Expression>),
}

type Result<T> = std::result::Result<T, String>;

/// The statements of a program.
pub(super) fn program(tokens: &[Token]) -> Result<Vec<Statement>> {
    let mut it = Parser { tokens, at: 0 };
    let mut statements = Vec::new();
    while it.kind() != &Kind::End {
        statements.push(it.statement()?);
    }
    Ok(statements)
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
}

impl Parser<'_> {
    fn kind(&self) -> &Kind {
        self.tokens.get(self.at).map_or(&Kind::End, |it| &it.kind)
    }

    fn line(&self) -> usize {
        self.tokens.get(self.at).map_or(0, |it| it.line)
    }

    fn sign(&mut self, sign: &str) -> bool {
        let is_it = matches!(self.kind(), Kind::Sign(it) if *it == sign);
        self.at += usize::from(is_it);
        is_it
    }

    fn word(&mut self, word: &str) -> bool {
        let is_it = matches!(self.kind(), Kind::Name(it) if it == word);
        self.at += usize::from(is_it);
        is_it
    }

    fn need(&mut self, sign: &str) -> Result<()> {
        if self.sign(sign) {
            Ok(())
        } else {
            Err(format!("line {}: expected {sign}, found {:?}", self.line(), self.kind()))
        }
    }

    fn name(&mut self) -> Result<String> {
        let Kind::Name(name) = self.kind() else {
            return Err(format!("line {}: expected a name, found {:?}", self.line(), self.kind()));
        };
        let name = name.clone();
        self.at += 1;
        Ok(name)
    }

    fn end_of_line(&mut self) -> Result<()> {
        if self.kind() == &Kind::Newline {
            self.at += 1;
            return Ok(());
        }
        Err(format!("line {}: expected the end of the line, found {:?}", self.line(), self.kind()))
    }

    fn block(&mut self) -> Result<Vec<Statement>> {
        self.need(":")?;
        self.end_of_line()?;
        if self.kind() != &Kind::Indent {
            return Err(format!("line {}: expected a block", self.line()));
        }
        self.at += 1;
        let mut statements = Vec::new();
        while self.kind() != &Kind::Dedent {
            statements.push(self.statement()?);
        }
        self.at += 1;
        Ok(statements)
    }

    fn statement(&mut self) -> Result<Statement> {
        let line = self.line();
        let kind = if self.word("if") {
            self.condition()?
        } else if self.word("for") {
            let names = self.names()?;
            let over = self.expression()?;
            Does::For(names, over, self.block()?)
        } else if self.word("def") {
            Does::Define(Rc::new(self.function()?))
        } else {
            let kind = self.simple()?;
            self.end_of_line()?;
            kind
        };
        Ok(Statement { line, kind })
    }

    fn simple(&mut self) -> Result<Does> {
        if self.word("pass") {
            return Ok(Does::Pass);
        }
        if self.word("return") {
            let has_value = self.kind() != &Kind::Newline;
            return Ok(Does::Return(if has_value { Some(self.expression()?) } else { None }));
        }
        let line = self.line();
        let it = self.expression()?;
        if self.sign("=") {
            return Ok(Does::Assign(it, self.expression()?));
        }
        if self.sign("+=") {
            let Expression::Name(name) = it else {
                return Err(format!("line {line}: += needs a name"));
            };
            return Ok(Does::Add(name, self.expression()?));
        }
        Ok(Does::Evaluate(it))
    }

    fn condition(&mut self) -> Result<Does> {
        let condition = self.expression()?;
        let then = self.block()?;
        let line = self.line();
        let otherwise = if self.word("elif") {
            vec![Statement { line, kind: self.condition()? }]
        } else if self.word("else") {
            self.block()?
        } else {
            Vec::new()
        };
        Ok(Does::If(condition, then, otherwise))
    }

    /// The names of a `for`, up to and with its `in`.
    fn names(&mut self) -> Result<Vec<String>> {
        let mut names = vec![self.name()?];
        while self.sign(",") {
            names.push(self.name()?);
        }
        if self.word("in") { Ok(names) } else { Err(format!("line {}: expected in", self.line())) }
    }

    fn function(&mut self) -> Result<Function> {
        let name = self.name()?;
        self.need("(")?;
        let mut parameters = Vec::new();
        while !self.sign(")") {
            let parameter = self.name()?;
            let default = if self.sign("=") { Some(self.expression()?) } else { None };
            parameters.push((parameter, default));
            if !self.sign(",") {
                self.need(")")?;
                break;
            }
        }
        Ok(Function { name, parameters, body: self.block()? })
    }

    fn expression(&mut self) -> Result<Expression> {
        let it = self.operation(0)?;
        if !self.word("if") {
            return Ok(it);
        }
        let condition = self.operation(0)?;
        if !self.word("else") {
            return Err(format!("line {}: expected else", self.line()));
        }
        let otherwise = self.expression()?;
        Ok(Expression::Choose(Box::new(condition), Box::new(it), Box::new(otherwise)))
    }

    /// The operator that stands here, if it binds at least as strongly as `level`.
    fn operator(&mut self, level: usize) -> Option<&'static str> {
        const LEVELS: [&[&str]; 5] = [
            &["or"],
            &["and"],
            &["==", "!=", "<=", ">=", "<", ">", "in", "not"],
            &["+", "-"],
            &["*", "%", "//"],
        ];
        let before = self.at;
        let operators = LEVELS.get(level)?;
        let found = operators.iter().copied().find(|it| self.sign(it) || self.word(it))?;
        if found == "not" {
            if self.word("in") {
                return Some("not in");
            }
            self.at = before;
            return None;
        }
        Some(found)
    }

    fn operation(&mut self, level: usize) -> Result<Expression> {
        const NOT: usize = 2;
        const UNARY: usize = 5;
        if level == NOT && self.word("not") {
            return Ok(Expression::Not(Box::new(self.operation(NOT)?)));
        }
        if level == UNARY {
            return if self.sign("-") {
                Ok(Expression::Minus(Box::new(self.operation(UNARY)?)))
            } else {
                self.primary()
            };
        }
        let mut left = self.operation(level + 1)?;
        while let Some(operator) = self.operator(level) {
            let right = self.operation(level + 1)?;
            left = Expression::Two(Box::new(left), operator, Box::new(right));
        }
        Ok(left)
    }

    fn primary(&mut self) -> Result<Expression> {
        let mut it = self.atom()?;
        loop {
            if self.sign("(") {
                it = Expression::Call(Box::new(it), self.arguments()?);
            } else if self.sign(".") {
                it = Expression::Field(Box::new(it), self.name()?);
            } else if self.sign("[") {
                it = Expression::Index(Box::new(it), Box::new(self.expression()?));
                self.need("]")?;
            } else {
                return Ok(it);
            }
        }
    }

    fn arguments(&mut self) -> Result<Vec<(Option<String>, Expression)>> {
        let mut arguments = Vec::new();
        while !self.sign(")") {
            let mut name = None;
            let next = self.tokens.get(self.at + 1).map(|it| &it.kind);
            if matches!(self.kind(), Kind::Name(_)) && next == Some(&Kind::Sign("=")) {
                name = Some(self.name()?);
                self.at += 1;
            }
            let value = self.expression()?;
            if name.is_none() && self.word("for") {
                arguments.push((None, self.each(value)?));
                self.need(")")?;
                break;
            }
            arguments.push((name, value));
            if !self.sign(",") {
                self.need(")")?;
                break;
            }
        }
        Ok(arguments)
    }

    /// The rest of a comprehension, after its `for`.
    fn each(&mut self, what: Expression) -> Result<Expression> {
        let names = self.names()?;
        let over = self.operation(0)?;
        let when = if self.word("if") { Some(Box::new(self.operation(0)?)) } else { None };
        Ok(Expression::Each(Box::new(what), names, Box::new(over), when))
    }

    fn atom(&mut self) -> Result<Expression> {
        let line = self.line();
        let kind = self.kind().clone();
        self.at += 1;
        match kind {
            Kind::Int(it) => Ok(Expression::Constant(Value::Int(it))),
            Kind::Text(it) => {
                // In Starlark strings side by side are no string: a comma was forgotten.
                if matches!(self.kind(), Kind::Text(_)) {
                    return Err(format!("line {line}: a comma is missing between two strings"));
                }
                Ok(Expression::Constant(Value::text(it)))
            }
            Kind::Name(name) => Ok(match name.as_str() {
                "None" => Expression::Constant(Value::None),
                "True" => Expression::Constant(Value::Bool(true)),
                "False" => Expression::Constant(Value::Bool(false)),
                _ => Expression::Name(name),
            }),
            Kind::Sign("(") => self.items(")", true),
            Kind::Sign("[") => self.items("]", false),
            Kind::Sign("{") => self.dict(),
            other => Err(format!("line {line}: expected a value, found {other:?}")),
        }
    }

    fn items(&mut self, end: &str, may_be_grouping: bool) -> Result<Expression> {
        let mut items = Vec::new();
        let mut comma = false;
        while !self.sign(end) {
            let item = self.expression()?;
            if items.is_empty() && self.word("for") {
                let each = self.each(item)?;
                self.need(end)?;
                return Ok(each);
            }
            items.push(item);
            comma = self.sign(",");
            if !comma {
                self.need(end)?;
                break;
            }
        }
        match items.pop() {
            Some(item) if may_be_grouping && items.is_empty() && !comma => Ok(item),
            last => {
                items.extend(last);
                Ok(Expression::List(items))
            }
        }
    }

    fn dict(&mut self) -> Result<Expression> {
        let mut items = Vec::new();
        while !self.sign("}") {
            let key = self.expression()?;
            self.need(":")?;
            items.push((key, self.expression()?));
            if !self.sign(",") {
                self.need("}")?;
                break;
            }
        }
        Ok(Expression::Dict(items))
    }
}
