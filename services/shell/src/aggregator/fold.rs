//! Which events a view follows, without their types, so that one loop serves any view.
use crate::panics;
use functions::{Follows, Happened, Message, Project, View};
use shared_events::{Decoded, Family, WriterSchema};
use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind},
};

/// A family of events that a view follows.
pub(crate) struct Source<V> {
    pub(crate) family: &'static Family,
    decode: Decode<V>,
}

type Decode<V> = fn(&WriterSchema, &[u8]) -> Result<Option<Folds<V>>, String>;

/// The events in one record: one, or what a retired record became.
type Folds<V> = Vec<Box<dyn Fold<V>>>;

/// An event that can be folded into a row.
pub(crate) trait Fold<V: View> {
    fn key(&self, happened: &Happened) -> Option<V::Key>;
    fn project(&self, row: Option<V>, happened: &Happened) -> Option<V>;
}

impl<V: View> Source<V> {
    /// All that `V` follows.
    pub(crate) fn all() -> Vec<Self> {
        let mut list = Sources(Vec::new());
        V::follows(&mut list);
        list.0
    }

    /// The events in a datum; `None` if it is a record from the future. The error says why not, in words.
    pub(crate) fn decode(
        &self,
        writer: &WriterSchema,
        datum: &[u8],
    ) -> Result<Option<Folds<V>>, String> {
        (self.decode)(writer, datum)
    }
}

struct Sources<V>(Vec<Source<V>>);

impl<V: View> Follows<V> for Sources<V> {
    fn events<E: Message>(&mut self) -> &mut Self
    where
        V: Project<E>,
    {
        self.0.push(Source { family: E::family(), decode: decode::<E, V> });
        self
    }
}

fn decode<E: Message, V: Project<E>>(
    writer: &WriterSchema,
    datum: &[u8],
) -> Result<Option<Folds<V>>, String> {
    match E::decode(writer, datum) {
        Ok(Decoded::Messages(events)) => {
            let fold = |event| Box::new(Event(event)) as Box<dyn Fold<V>>;
            Ok(Some(events.into_iter().map(fold).collect()))
        }
        Ok(Decoded::FromTheFuture) => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

struct Event<E>(E);

impl<E: Message, V: Project<E>> Fold<V> for Event<E> {
    fn key(&self, happened: &Happened) -> Option<V::Key> {
        V::key(&self.0, happened)
    }

    fn project(&self, row: Option<V>, happened: &Happened) -> Option<V> {
        V::project(row, &self.0, happened)
    }
}

/// An event and the key of its row, if it is about one.
pub(crate) type Keyed<V> = (Option<String>, Box<dyn Fold<V>>);

/// The key's text form, unless finding it panics.
pub(crate) fn key_of<V: View>(
    fold: &dyn Fold<V>,
    happened: &Happened,
) -> Result<Option<String>, String> {
    let key = catch_unwind(AssertUnwindSafe(|| fold.key(happened).map(|it| it.to_string())));
    match key.map_err(|panic| panics::told("finding the row of the event", panic.as_ref()))? {
        Some(key) if key.contains('\0') => Err("the key of its row has a character U+0000".into()),
        key => Ok(key),
    }
}

/// The row after the event, unless the fold panics.
pub(crate) fn folded<V: View>(
    fold: &dyn Fold<V>,
    row: Option<V>,
    happened: &Happened,
) -> Result<Option<V>, String> {
    catch_unwind(AssertUnwindSafe(|| fold.project(row, happened)))
        .map_err(|panic| panics::told("folding the event", panic.as_ref()))
}

/// Folds one record's events into the rows; either all of them, or none and the reason.
pub(crate) fn fold_all<V: View>(
    folds: &[Keyed<V>],
    happened: &Happened,
    rows: &mut BTreeMap<String, Option<V>>,
    touched: &mut BTreeSet<String>,
) -> Result<(), String> {
    let mut after: BTreeMap<&String, Option<V>> = BTreeMap::new();
    for (key, fold) in folds {
        let Some(key) = key else { continue };
        let row = match after.remove(key) {
            Some(row) => row,
            None => rows.get(key).cloned().flatten(),
        };
        after.insert(key, folded(fold.as_ref(), row, happened)?);
    }
    for (key, row) in after {
        rows.insert(key.clone(), row);
        touched.insert(key.clone());
    }
    Ok(())
}
