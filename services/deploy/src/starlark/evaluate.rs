//! Runs statements.
use super::{
    World, operate,
    parse::{Does, Expression, Function, Statement},
    value::{Arguments, Value},
};
use std::{collections::BTreeMap, rc::Rc};

/// How often a program may call before it is taken for endless.
const CALLS_MAX: usize = 64;

struct Machine<'a> {
    world: &'a mut dyn World,
    globals: BTreeMap<String, Value>,
    /// Those of the functions that are being called, the innermost last.
    locals: Vec<BTreeMap<String, Value>>,
    line: usize,
}

type Result<T> = std::result::Result<T, String>;

/// Runs a program; returns its names.
pub(super) fn run(program: &[Statement], world: &mut dyn World) -> Result<BTreeMap<String, Value>> {
    let mut it = Machine { world, globals: BTreeMap::new(), locals: Vec::new(), line: 0 };
    match it.block(program) {
        Ok(None) => Ok(it.globals),
        Ok(Some(_)) => Err(format!("line {}: return outside of a function", it.line)),
        Err(error) => Err(format!("line {}: {error}", it.line)),
    }
}

impl Machine<'_> {
    /// Runs statements; the value of a `return` ends them.
    fn block(&mut self, statements: &[Statement]) -> Result<Option<Value>> {
        for statement in statements {
            self.line = statement.line;
            if let Some(value) = self.statement(&statement.kind)? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    fn statement(&mut self, does: &Does) -> Result<Option<Value>> {
        match does {
            Does::Evaluate(it) => {
                self.value(it)?;
            }
            Does::Assign(Expression::Name(name), it) => {
                let value = self.value(it)?;
                self.set(name, value);
            }
            Does::Assign(Expression::Index(place, key), it) => {
                let (place, key, value) = (self.value(place)?, self.value(key)?, self.value(it)?);
                operate::put(&place, key, value)?;
            }
            Does::Assign(..) => return Err("only names and places can be set".to_owned()),
            Does::Add(name, it) => {
                let sum = operate::two(&self.name(name)?, "+", &self.value(it)?)?;
                self.set(name, sum);
            }
            Does::If(condition, then, otherwise) => {
                let holds = self.value(condition)?.is_true();
                return self.block(if holds { then } else { otherwise });
            }
            Does::For(names, over, body) => {
                for item in operate::each(&self.value(over)?)? {
                    self.spread(names, item)?;
                    if let Some(value) = self.block(body)? {
                        return Ok(Some(value));
                    }
                }
            }
            Does::Define(function) => {
                self.set(&function.name, Value::Function(Rc::clone(function)));
            }
            Does::Return(it) => {
                let value = it.as_ref().map(|it| self.value(it)).transpose()?;
                return Ok(Some(value.unwrap_or(Value::None)));
            }
            Does::Pass => {}
        }
        Ok(None)
    }

    fn set(&mut self, name: &str, value: Value) {
        let names = self.locals.last_mut().unwrap_or(&mut self.globals);
        names.insert(name.to_owned(), value);
    }

    /// One name is the item; several are its parts.
    fn spread(&mut self, names: &[String], item: Value) -> Result<()> {
        if let [name] = names {
            self.set(name, item);
            return Ok(());
        }
        let parts = item.items();
        if parts.len() != names.len() {
            return Err(format!("{} has not {} parts", item.kind(), names.len()));
        }
        for (name, part) in names.iter().zip(parts) {
            self.set(name, part);
        }
        Ok(())
    }

    fn name(&self, name: &str) -> Result<Value> {
        let own = self.locals.last().and_then(|it| it.get(name)).or_else(|| self.globals.get(name));
        let found = own.cloned().or_else(|| self.world.constant(name));
        let is_function = || operate::FUNCTIONS.contains(&name) || self.world.knows(name);
        match found {
            Some(value) => Ok(value),
            None if is_function() => Ok(Value::Outside(Rc::from(name))),
            None => Err(format!("there is no {name}")),
        }
    }

    fn value(&mut self, it: &Expression) -> Result<Value> {
        match it {
            Expression::Constant(value) => Ok(value.clone()),
            Expression::Name(name) => self.name(name),
            Expression::List(items) => {
                let items: Result<Vec<_>> = items.iter().map(|it| self.value(it)).collect();
                Ok(Value::list(items?))
            }
            Expression::Dict(items) => {
                let dict = Value::dict(Vec::new());
                for (key, value) in items {
                    let (key, value) = (self.value(key)?, self.value(value)?);
                    operate::put(&dict, key, value)?;
                }
                Ok(dict)
            }
            Expression::Each(what, names, over, when) => {
                let mut items = Vec::new();
                for item in operate::each(&self.value(over)?)? {
                    self.spread(names, item)?;
                    let wanted = when.as_ref().map(|it| self.value(it)).transpose()?;
                    if wanted.is_none_or(|it| it.is_true()) {
                        items.push(self.value(what)?);
                    }
                }
                Ok(Value::list(items))
            }
            Expression::Field(of, name) => match self.value(of)? {
                Value::Outside(first) => {
                    let name = format!("{first}.{name}");
                    if self.world.knows(&name) {
                        Ok(Value::Outside(Rc::from(name)))
                    } else {
                        Err(format!("there is no {name}"))
                    }
                }
                of => Ok(Value::Method(Box::new(of), Rc::from(name.as_str()))),
            },
            Expression::Index(of, key) => {
                let (of, key) = (self.value(of)?, self.value(key)?);
                operate::index(&of, &key)
            }
            Expression::Not(it) => Ok(Value::Bool(!self.value(it)?.is_true())),
            Expression::Minus(it) => operate::two(&Value::Int(0), "-", &self.value(it)?),
            Expression::Two(left, operator @ ("and" | "or"), right) => {
                let left = self.value(left)?;
                if left.is_true() == (*operator == "or") { Ok(left) } else { self.value(right) }
            }
            Expression::Two(left, operator, right) => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                operate::two(&left, operator, &right)
            }
            Expression::Choose(condition, then, otherwise) => {
                let holds = self.value(condition)?.is_true();
                self.value(if holds { then } else { otherwise })
            }
            Expression::Call(what, arguments) => self.call(what, arguments),
        }
    }

    fn call(&mut self, what: &Expression, given: &[(Option<String>, Expression)]) -> Result<Value> {
        let what = self.value(what)?;
        let mut arguments = Arguments::default();
        for (name, it) in given {
            let value = self.value(it)?;
            match name {
                None => arguments.positional.push(value),
                Some(name) => {
                    if arguments.named.insert(name.clone(), value).is_some() {
                        return Err(format!("{name} is given twice"));
                    }
                }
            }
        }
        match what {
            Value::Method(of, name) => operate::method(&of, &name, &arguments),
            Value::Function(function) => self.function(&function, arguments),
            Value::Outside(name) if operate::FUNCTIONS.contains(&&*name) => {
                operate::function(&name, &arguments)
            }
            Value::Outside(name) => self.world.call(&name, arguments),
            other => Err(format!("{} cannot be called", other.kind())),
        }
    }

    fn function(&mut self, it: &Function, arguments: Arguments) -> Result<Value> {
        if self.locals.len() >= CALLS_MAX {
            return Err(format!("{} calls itself without end", it.name));
        }
        if arguments.positional.len() > it.parameters.len() {
            return Err(format!("{} takes {} arguments", it.name, it.parameters.len()));
        }
        let Arguments { positional, mut named } = arguments;
        let mut positional = positional.into_iter();
        let mut locals = BTreeMap::new();
        for (name, default) in &it.parameters {
            let value = match (positional.next().or_else(|| named.remove(name)), default) {
                (Some(value), _) => value,
                (None, Some(default)) => self.value(default)?,
                (None, None) => return Err(format!("{} needs {name}", it.name)),
            };
            locals.insert(name.clone(), value);
        }
        if let Some(name) = named.keys().next() {
            return Err(format!("{} takes no {name}", it.name));
        }
        self.locals.push(locals);
        let result = self.block(&it.body);
        self.locals.pop();
        Ok(result?.unwrap_or(Value::None))
    }
}
