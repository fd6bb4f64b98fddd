//! A view is the fold of its events up to its checkpoints, row by row.
use super::{
    Instant,
    difference::{Difference, Findings, Kind, Remedy},
    spanning::Spanning,
    walk::{Check, Chunk, Done, Event, Finished},
};
use crate::{
    aggregator::fold::{Keyed, Source, fold_all, key_of},
    port::store::{CheckpointRow, Generation, StoreError},
    postgres::{Rows, ShownRow, Snapshot},
    reads::words_of,
    view::ViewDefinition,
};
use chrono::{DateTime, Utc};
use functions::{ColumnKind, Happened, View};
use futures::future::LocalBoxFuture;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};
use uuid::Uuid;

/// One generation of a view, and what it takes to fold it again.
pub(super) struct Shown<V> {
    pub(super) view: ViewDefinition,
    pub(super) of: Generation,
    pub(super) snapshot: Snapshot,
    sources: Vec<Source<V>>,
    topics: HashMap<String, Topic>,
    /// Nothing that happened later is folded.
    as_of: Option<DateTime<Utc>>,
    /// Rows that are folded in memory at the same time.
    pub(super) rows_max: usize,
}

/// How far a view has come in a topic.
#[derive(Default)]
struct Topic {
    /// By partition.
    pseqs: HashMap<i32, i64>,
    /// Passed, and not folded.
    left_out: HashSet<(i32, i64)>,
}

/// A check of this view, for the pass over all events.
pub(super) fn check<V: View>(
    instant: &Instant,
    of: Generation,
) -> LocalBoxFuture<'_, Result<Box<dyn Check>, StoreError>> {
    Box::pin(async move {
        let snapshot = instant.own().clone();
        let view = ViewDefinition::of::<V>(instant.context);
        let checkpoints = snapshot.checkpoints(&of).await?;
        let as_of = snapshot.as_of(&of).await?;
        let incarnations = instant.ledger.iter().map(|it| (it.part, it.incarnation)).collect();
        let foreign = foreign(&view, instant.context, &checkpoints, &incarnations);
        let mut topics: HashMap<String, Topic> = HashMap::new();
        for it in checkpoints {
            topics.entry(it.topic).or_default().pseqs.insert(it.part, it.pseq);
        }
        for (topic, part, pseq) in snapshot.left_out(&of).await? {
            topics.entry(topic).or_default().left_out.insert((part, pseq));
        }
        let sources = Source::all();
        let rows_max = instant.rows_max;
        let shown = Arc::new(Shown::<V> { view, of, snapshot, sources, topics, as_of, rows_max });
        let is_by_stream = !shown.view.spans_streams
            && shown.view.key_column().is_some_and(|it| it.kind == ColumnKind::Uuid);
        Ok(if is_by_stream {
            Box::new(ByStream::new(shown, foreign)) as Box<dyn Check>
        } else {
            Box::new(Spanning::new(shown, foreign))
        })
    })
}

/// Checkpoints that count in another life of the write side (protocol.md W13).
fn foreign(
    view: &ViewDefinition,
    context: &str,
    checkpoints: &[CheckpointRow],
    incarnations: &HashMap<i32, i64>,
) -> Vec<Difference> {
    let own = format!("{context}.events");
    let is_foreign = |it: &&CheckpointRow| {
        it.topic == own
            && it.incarnation != 0
            && incarnations.get(&it.part).is_some_and(|known| *known != it.incarnation)
    };
    let difference = |it: &CheckpointRow| Difference {
        kind: Kind::View,
        place: format!("{}, partition {} of {}", view.table, it.part, it.topic),
        expected: format!(
            "incarnation {}",
            incarnations.get(&it.part).copied().unwrap_or_default()
        ),
        found: format!("incarnation {}", it.incarnation),
    };
    checkpoints.iter().filter(is_foreign).map(difference).collect()
}

impl<V: View> Shown<V> {
    pub(super) fn remedy(&self) -> Remedy {
        Remedy::Rebuild { view: self.view.table }
    }

    pub(super) fn rows(&self) -> Rows<ShownRow> {
        self.snapshot.shown(&self.view, &self.of)
    }

    pub(super) fn follows(&self, context: &str) -> bool {
        self.view.follows.iter().any(|it| it.context == context)
    }

    /// What the event is to the view; `None` if nothing, or if the view has not come so far. An error says why nobody
    /// can fold it.
    pub(super) fn folds(&self, topic: &str, it: &Event) -> Result<Option<Vec<Keyed<V>>>, String> {
        let row = &it.row;
        let Some(Topic { pseqs, left_out }) = self.topics.get(topic) else { return Ok(None) };
        let is_later = self.as_of.is_some_and(|as_of| row.at > as_of);
        let is_ahead = pseqs.get(&row.part).is_none_or(|pseq| row.pseq > *pseq);
        if is_later || is_ahead || left_out.contains(&(row.part, row.pseq)) {
            return Ok(None);
        }
        let schema = it.schema.as_ref();
        let schema = schema.ok_or_else(|| format!("its schema {} is nowhere", row.schema))?;
        let happened = Happened { at: row.at, version: row.version };
        for source in self.sources.iter().filter(|it| it.family.topic == topic) {
            if let Some(folds) = source.decode(schema, &row.data)? {
                let keyed = folds.into_iter().map(|it| Ok((key_of(it.as_ref(), &happened)?, it)));
                return keyed.collect::<Result<_, String>>().map(Some);
            }
        }
        Ok(None)
    }

    /// What is wrong with a row, given what it should be.
    pub(super) fn compare(&self, shown: &ShownRow, row: Option<&V>) -> Option<Difference> {
        let place = || format!("{} {}", self.view.table, shown.key);
        let differ = |expected: String, found: String| {
            Some(Difference { kind: Kind::View, place: place(), expected, found })
        };
        let Some(row) = row else { return differ("no row".to_owned(), shown.row.clone()) };
        let Ok(expected) = serde_json::to_value(row) else { return None };
        let Ok(found) = serde_json::from_str::<V>(&shown.row) else {
            return differ(expected.to_string(), shown.row.clone());
        };
        if found != *row {
            let found = serde_json::to_value(&found).unwrap_or_default();
            return differ(expected.to_string(), found.to_string());
        }
        let words = shown.words.as_ref()?;
        let expected: BTreeSet<String> =
            words_of(&expected, &self.view.searched).into_iter().collect();
        let found: BTreeSet<String> = lexemes(words).into_iter().collect();
        if expected == found {
            None
        } else {
            differ(format!("words {expected:?}"), format!("words {found:?}"))
        }
    }

    pub(super) fn missing(&self, key: &str, row: &V) -> Difference {
        let expected = serde_json::to_string(row).unwrap_or_default();
        let place = format!("{} {key}", self.view.table);
        Difference { kind: Kind::View, place, expected, found: "no row".to_owned() }
    }

    pub(super) fn unfoldable(&self, it: &Event, why: String) -> Difference {
        let place =
            format!("{}, event {} of partition {}", self.view.table, it.row.pseq, it.row.part);
        let expected = "a parked event, as it cannot be folded".to_owned();
        Difference { kind: Kind::View, place, expected, found: why }
    }
}

/// The words in the text of a `tsvector` without positions: `'ada' 'o''neil'`.
fn lexemes(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '\'' {
            continue;
        }
        let mut word = String::new();
        while let Some(letter) = letters.next() {
            match letter {
                '\'' if letters.next_if_eq(&'\'').is_none() => break,
                // Doubled in the text.
                '\\' => word.extend(letters.next()),
                letter => word.push(letter),
            }
        }
        words.push(word);
    }
    words
}

/// A view whose rows are found by their stream: they come in the order of the streams, as the events do.
struct ByStream<V> {
    shown: Arc<Shown<V>>,
    rows: Rows<ShownRow>,
    stream: Option<Uuid>,
    /// The rows of the stream.
    folded: BTreeMap<String, Option<V>>,
    /// An event of the stream cannot be folded: of its row nothing can be said.
    is_unclear: bool,
    /// Told in the end: where a key is another one than the stream, all of this was in vain.
    found: Vec<Difference>,
    more: u64,
    has_other_keys: bool,
    count: u64,
}

impl<V: View> ByStream<V> {
    fn new(shown: Arc<Shown<V>>, found: Vec<Difference>) -> Self {
        Self {
            rows: shown.rows(),
            shown,
            stream: None,
            folded: BTreeMap::new(),
            is_unclear: false,
            found,
            more: 0,
            has_other_keys: false,
            count: 0,
        }
    }

    fn differ(&mut self, difference: Difference) {
        if self.found.len() < FOUND_MAX { self.found.push(difference) } else { self.more += 1 }
    }

    async fn event(&mut self, topic: &str, it: &Event) -> Result<(), StoreError> {
        if self.stream != Some(it.row.stream) {
            self.end().await?;
            self.stream = Some(it.row.stream);
        }
        let happened = Happened { at: it.row.at, version: it.row.version };
        let folded = self.shown.folds(topic, it).and_then(|folds| {
            let Some(folds) = folds else { return Ok(()) };
            let own = it.row.stream.to_string();
            self.has_other_keys |= folds.iter().filter_map(|it| it.0.as_ref()).any(|it| *it != own);
            fold_all(&folds, &happened, &mut self.folded, &mut BTreeSet::new())
        });
        if let Err(why) = folded {
            self.is_unclear = true;
            let difference = self.shown.unfoldable(it, why);
            self.differ(difference);
        }
        Ok(())
    }

    /// The stream is over: its row, and before it those of streams that there are not.
    async fn end(&mut self) -> Result<(), StoreError> {
        let Some(stream) = self.stream.take() else { return Ok(()) };
        let key = stream.to_string();
        let row = std::mem::take(&mut self.folded).remove(&key).flatten();
        let is_unclear = std::mem::take(&mut self.is_unclear);
        let mut is_shown = false;
        while self.rows.peek().await?.is_some_and(|it| it.key <= key) {
            let Some(shown) = self.rows.next().await? else { break };
            self.count += 1;
            let is_its = shown.key == key;
            is_shown |= is_its;
            let difference = self.shown.compare(&shown, row.as_ref().filter(|_| is_its));
            if let Some(difference) = difference.filter(|_| !(is_its && is_unclear)) {
                self.differ(difference);
            }
        }
        if let Some(row) = row.filter(|_| !is_shown && !is_unclear) {
            let difference = self.shown.missing(&key, &row);
            self.differ(difference);
        }
        Ok(())
    }
}

impl<V: View> Check for ByStream<V> {
    fn follows(&self, context: &str) -> bool {
        self.shown.follows(context)
    }

    fn take<'a>(&'a mut self, chunk: &'a Chunk, _: &'a mut Findings<'_>) -> Done<'a> {
        Box::pin(async move {
            for it in &chunk.events {
                if self.has_other_keys {
                    break;
                }
                self.event(&chunk.topic, it).await?;
            }
            Ok(())
        })
    }

    fn finish<'a>(mut self: Box<Self>, findings: &'a mut Findings<'_>) -> Done<'a, Finished> {
        Box::pin(async move {
            if self.has_other_keys {
                return Ok((
                    Vec::new(),
                    Some(Box::new(Spanning::new(self.shown, Vec::new())) as Box<dyn Check>),
                ));
            }
            self.end().await?;
            while let Some(shown) = self.rows.next().await? {
                self.count += 1;
                if let Some(difference) = self.shown.compare(&shown, None) {
                    self.differ(difference);
                }
            }
            for it in &self.found {
                findings.add(it, Some(self.shown.remedy()));
            }
            findings.more(Kind::View, self.more);
            let what = format!("view {}: rows against the fold", self.shown.view.table);
            Ok((vec![(what, self.count)], None))
        })
    }
}

/// Kept until the end of a pass; more are only counted.
const FOUND_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_postgres_writes_them() {
        assert_eq!(lexemes(r"'ada' 'o''neil' 'back\\slash'"), ["ada", "o'neil", r"back\slash"]);
        assert_eq!(lexemes(""), Vec::<String>::new());
    }
}
