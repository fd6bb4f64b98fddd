//! What the shell has to know of a view: its columns, what it follows, and the hash that names its version.
use functions::{Column, Context, Decider, Follows, Index, Message, Parts, Project, View};
use sha2::{Digest, Sha256};
use shared_events::Family;
use std::{collections::BTreeSet, fmt::Write as _};

/// A view without its types.
#[derive(Clone, Debug)]
pub struct ViewDefinition {
    /// The context that keeps it.
    pub context: &'static str,
    /// The table's name.
    pub table: &'static str,
    /// The column of the key.
    pub key: &'static str,
    /// All columns, in order.
    pub columns: Vec<Column>,
    /// What rows are found by, and ordered by, beside the key.
    pub indexes: Vec<Index>,
    /// The columns in whose text words are searched.
    pub searched: Vec<&'static str>,
    /// Whether a row is made of several streams.
    pub spans_streams: bool,
    /// The families of events that it follows.
    pub follows: Vec<&'static Family>,
    /// Names the version: another definition is another version, with rows of its own (protocol.md V2).
    pub hash: String,
}

impl ViewDefinition {
    /// The definition of `V` in a context.
    #[must_use]
    pub fn of<V: View>(context: &'static str) -> Self {
        let mut families = Families(Vec::new());
        V::follows(&mut families);
        let columns = V::columns();
        let hash = hash::<V>(&columns, &families.0);
        Self {
            context,
            table: V::TABLE,
            key: V::KEY,
            columns,
            indexes: V::indexes(),
            searched: V::searched(),
            // Rows that follow two topics have two owners as well (protocol.md V3).
            spans_streams: V::SPANS_STREAMS
                || families.0.iter().any(|it| it.topic != families.0[0].topic),
            follows: families.0,
            hash,
        }
    }

    /// How many checkpoints it has, where topics have so many partitions.
    #[must_use]
    pub fn checkpoints(&self, partitions: i32) -> usize {
        let topics: BTreeSet<&str> = self.follows.iter().map(|it| it.topic).collect();
        topics.len() * usize::try_from(partitions).unwrap_or_default()
    }

    /// The column of the key.
    #[must_use]
    pub fn key_column(&self) -> Option<&Column> {
        self.column(self.key)
    }

    /// The column of this name, if there is one.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|it| it.name == name)
    }
}

/// All views of a context.
#[must_use]
pub fn views_of<C: Context>() -> Vec<ViewDefinition> {
    let mut list = Views(C::NAME, Vec::new());
    C::parts(&mut list);
    list.1
}

struct Views(&'static str, Vec<ViewDefinition>);

impl Parts for Views {
    fn decider<D: Decider>(&mut self) -> &mut Self {
        self
    }

    fn view<V: View>(&mut self) -> &mut Self {
        self.1.push(ViewDefinition::of::<V>(self.0));
        self
    }
}

struct Families(Vec<&'static Family>);

impl<V: View> Follows<V> for Families {
    fn events<E: Message>(&mut self) -> &mut Self
    where
        V: Project<E>,
    {
        self.0.push(E::family());
        self
    }
}

/// Covers the columns, the indexes, the names and schemas of the records it follows, and the revision of the fold.
fn hash<V: View>(columns: &[Column], follows: &[&'static Family]) -> String {
    let mut text = format!("{} {} {} {}\n", V::TABLE, V::KEY, V::REVISION, V::SPANS_STREAMS);
    for it in columns {
        let _ = writeln!(text, "{} {:?} {}", it.name, it.kind, it.nullable);
    }
    for it in V::indexes() {
        let _ = writeln!(text, "index {:?}", it.columns);
    }
    for it in V::searched() {
        let _ = writeln!(text, "search {it}");
    }
    for family in follows {
        for record in family.records() {
            let _ = writeln!(text, "{} {} {}", family.topic, record.name(), record.fingerprint());
        }
    }
    crate::codec::hex(&Sha256::digest(text.as_bytes())[..4])
}
