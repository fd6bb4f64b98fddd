//! Values.
use super::parse::Function;
use std::{cell::RefCell, collections::BTreeMap, fmt, rc::Rc};

/// A value. Lists and dictionaries are shared, as in Starlark.
#[derive(Debug, Clone)]
pub enum Value {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A string.
    Text(Rc<str>),
    /// A list or tuple.
    List(Rc<RefCell<Vec<Value>>>),
    /// A dictionary, in order.
    Dict(Rc<RefCell<Vec<(Value, Value)>>>),
    /// A function of the world, or the part of its name before a dot.
    Outside(Rc<str>),
    /// A method, with what it belongs to.
    Method(Box<Value>, Rc<str>),
    /// A function of the program.
    Function(Rc<Function>),
    /// What a function of the world made: its name and arguments.
    Made(Rc<(String, Arguments)>),
}

/// What a function is called with.
#[derive(Debug, Clone, Default)]
pub struct Arguments {
    /// By position.
    pub positional: Vec<Value>,
    /// By name.
    pub named: BTreeMap<String, Value>,
}

impl Value {
    /// A string.
    #[must_use]
    pub fn text(text: impl AsRef<str>) -> Self {
        Self::Text(Rc::from(text.as_ref()))
    }

    /// A list.
    #[must_use]
    pub fn list(items: Vec<Self>) -> Self {
        Self::List(Rc::new(RefCell::new(items)))
    }

    /// A dictionary.
    #[must_use]
    pub fn dict(items: Vec<(Self, Self)>) -> Self {
        Self::Dict(Rc::new(RefCell::new(items)))
    }

    /// The string that it is.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Its items; those of nothing but a list are none.
    #[must_use]
    pub fn items(&self) -> Vec<Self> {
        match self {
            Self::List(items) => items.borrow().clone(),
            _ => Vec::new(),
        }
    }

    /// Whether a condition with it holds.
    #[must_use]
    pub fn is_true(&self) -> bool {
        match self {
            Self::None => false,
            Self::Bool(it) => *it,
            Self::Int(it) => *it != 0,
            Self::Text(it) => !it.is_empty(),
            Self::List(it) => !it.borrow().is_empty(),
            Self::Dict(it) => !it.borrow().is_empty(),
            _ => true,
        }
    }

    /// What kind of value it is, in words.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Bool(_) => "a bool",
            Self::Int(_) => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Dict(_) => "a dictionary",
            Self::Made(_) => "a thing of Tilt's",
            _ => "a function",
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::None, Self::None) => true,
            (Self::Bool(one), Self::Bool(other)) => one == other,
            (Self::Int(one), Self::Int(other)) => one == other,
            (Self::Text(one), Self::Text(other)) => one == other,
            (Self::List(one), Self::List(other)) => one == other,
            (Self::Dict(one), Self::Dict(other)) => one == other,
            _ => false,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Bool(it) => f.write_str(if *it { "True" } else { "False" }),
            Self::Int(it) => write!(f, "{it}"),
            Self::Text(it) => f.write_str(it),
            Self::List(it) => {
                let items: Vec<_> = it.borrow().iter().map(|it| format!("{it}")).collect();
                write!(f, "[{}]", items.join(", "))
            }
            other => f.write_str(other.kind()),
        }
    }
}
