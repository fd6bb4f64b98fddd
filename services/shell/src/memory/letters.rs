//! What operators do with dead letters, in memory.
use super::store::{Database, MemoryStore, Table};
use crate::{
    codec::hex,
    letters::{
        CommandPlace, Discard, EventPlace, Letter, LetterId, Listed, Operation, Resolution, Wanted,
    },
    port::store::{Asked, DeadLetter, Generation, Letters, ParkedEvent, StoreError, Tried},
};
use futures::future::{BoxFuture, ready};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// What operators did.
#[derive(Default)]
pub(super) struct Done {
    operations: Vec<Operation>,
    discards: Vec<Discard>,
    /// Of commands, by partition, offset and digest.
    resolutions: BTreeMap<(i32, i64, Vec<u8>), Resolution>,
    requests: i64,
}

impl Done {
    /// The events that a view passes over.
    pub(super) fn discarded(&self, view: &str) -> impl Iterator<Item = &Discard> {
        self.discards.iter().filter(move |it| it.view == view)
    }

    pub(super) fn is_resolved(&self, it: &DeadLetter) -> bool {
        self.resolutions.contains_key(&(it.part, it.offset, it.digest.clone()))
    }
}

/// The streams of these partitions that are to be tried again.
pub(super) fn asked(table: &Table, parts: &[(String, i32)]) -> Vec<Asked> {
    let mut streams: BTreeMap<(String, i32, Uuid), Vec<i64>> = BTreeMap::new();
    for (id, stream) in &table.asked {
        if parts.contains(&(stream.0.clone(), stream.1)) {
            streams.entry(stream.clone()).or_default().push(*id);
        }
    }
    let one = |((topic, part, stream), requests): ((String, i32, Uuid), Vec<i64>)| {
        let mut events: Vec<ParkedEvent> =
            table.parked.iter().filter(|it| is_of(it, &topic, part, stream)).cloned().collect();
        events.sort_by_key(|it| it.pseq);
        let more = events.len() > Asked::EVENTS_MAX;
        events.truncate(Asked::EVENTS_MAX);
        Asked { topic, part, stream, requests, events, more }
    };
    streams.into_iter().take(Asked::STREAMS_MAX).map(one).collect()
}

/// What became of a stream that was tried again.
pub(super) fn settle(table: &mut Table, tried: &Tried) {
    let Tried { topic, part, stream, upto, reason, requests } = tried;
    table.parked.retain(|it| !is_of(it, topic, *part, *stream) || it.pseq > *upto);
    if let Some(reason) = reason {
        for it in table.parked.iter_mut().filter(|it| is_of(it, topic, *part, *stream)) {
            it.reason.clone_from(reason);
        }
    }
    table.asked.retain(|id, _| !requests.contains(id));
}

fn is_of(it: &ParkedEvent, topic: &str, part: i32, stream: Uuid) -> bool {
    it.topic == topic && it.part == part && it.stream == stream
}

fn commands(it: &Database, context: &str, wanted: &Wanted) -> Vec<Letter> {
    let is_meant = |letter: &&DeadLetter| {
        let is_open = !it.aside.is_resolved(letter);
        let place = wanted.place.as_ref().is_none_or(|id| match id {
            LetterId::Command(id) => is_at(letter, id),
            LetterId::Event(_) => false,
        });
        (wanted.all || is_open)
            && place
            && wanted.stream.is_none_or(|it| stream(letter) == Some(it))
    };
    let shown = |letter: &DeadLetter| {
        let is_here = |it: &&DeadLetter| (it.part, it.offset) == (letter.part, letter.offset);
        let is_alone = it.dead_letters.iter().filter(is_here).count() == 1;
        let place = (letter.part, letter.offset, letter.digest.clone());
        Letter {
            id: LetterId::Command(CommandPlace {
                context: context.to_owned(),
                part: letter.part,
                offset: letter.offset,
                digest: (!is_alone).then(|| hex(&letter.digest)[..8].to_owned()),
            }),
            stream: stream(letter),
            command_id: letter.command_id,
            code: letter.code.clone(),
            reason: letter.reason.clone(),
            behind: None,
            asked: false,
            headers: letter.headers.clone(),
            payload: letter.payload.clone().filter(|_| wanted.place.is_some()),
            at: letter.at,
            resolution: it.aside.resolutions.get(&place).cloned(),
        }
    };
    it.dead_letters.iter().filter(is_meant).map(shown).collect()
}

fn is_at(letter: &DeadLetter, id: &CommandPlace) -> bool {
    let digest = id.digest.as_ref().is_none_or(|it| hex(&letter.digest).starts_with(it));
    (letter.part, letter.offset) == (id.part, id.offset) && digest
}

fn stream(letter: &DeadLetter) -> Option<Uuid> {
    Uuid::try_parse_ascii(letter.key.as_deref()?).ok()
}

/// Whether this event is one of those, whatever stream it is of.
fn is_wanted(of: &Generation, it: &ParkedEvent, wanted: &Wanted) -> bool {
    let is_stream = wanted.stream.is_none_or(|stream| stream == it.stream);
    let is_view = wanted.view().is_none_or(|view| view == of.table);
    let is_place = wanted.place.as_ref().is_none_or(|id| match id {
        LetterId::Command(_) => false,
        LetterId::Event(id) => (&id.topic, id.part, id.pseq) == (&it.topic, it.part, it.pseq),
    });
    is_stream && is_view && is_place
}

fn events(it: &Database, context: &str, wanted: &Wanted) -> Vec<Letter> {
    // Generations come in the order of their numbers: the last one's letters count.
    let mut letters = BTreeMap::new();
    for (of, table) in &it.views {
        for it in table.parked.iter().filter(|it| is_wanted(of, it, wanted)) {
            let stream = (it.topic.clone(), it.part, it.stream);
            let mine = table.parked.iter().filter(|o| is_of(o, &it.topic, it.part, it.stream));
            let first = mine.map(|it| it.pseq).min();
            let id = LetterId::Event(EventPlace {
                context: context.to_owned(),
                view: of.table.to_owned(),
                topic: it.topic.clone(),
                part: it.part,
                pseq: it.pseq,
            });
            let letter = Letter {
                id: id.clone(),
                stream: Some(it.stream),
                command_id: None,
                code: "PARKED".to_owned(),
                reason: it.reason.clone(),
                behind: first.filter(|first| *first != it.pseq),
                asked: table.asked.values().any(|it| *it == stream),
                headers: it.headers.clone(),
                payload: it.payload.clone().filter(|_| wanted.place.is_some()),
                at: it.at,
                resolution: None,
            };
            letters.insert(id, letter);
        }
    }
    letters.into_values().collect()
}

fn ask(it: &mut Database, wanted: impl Fn(&Generation, &ParkedEvent) -> bool) -> Vec<i64> {
    let mut ids = Vec::new();
    for (of, table) in &mut it.views {
        let parked = table.parked.iter().filter(|it| wanted(of, it));
        let streams: BTreeSet<(String, i32, Uuid)> =
            parked.map(|it| (it.topic.clone(), it.part, it.stream)).collect();
        for stream in streams {
            it.aside.requests += 1;
            ids.push(it.aside.requests);
            table.asked.insert(it.aside.requests, stream);
        }
    }
    ids
}

fn discard(it: &mut Database, id: &EventPlace, operation: &Operation) -> Option<Vec<i64>> {
    let place = (id.topic.clone(), id.part);
    let is_it = |of: &Generation, it: &ParkedEvent| {
        of.table == id.view && (&it.topic, it.part, it.pseq) == (&id.topic, id.part, id.pseq)
    };
    if !it.views.iter().any(|(of, table)| table.parked.iter().any(|it| is_it(of, it))) {
        return None;
    }
    for (_, table) in it.views.iter_mut().filter(|(of, _)| of.table == id.view) {
        if let Some(row) = table.checkpoints.get_mut(&place) {
            row.epoch += 1;
        }
    }
    let Operation { at, by, .. } = operation.clone();
    let EventPlace { view, topic, part, pseq, .. } = id.clone();
    it.aside.discards.push(Discard { view, topic, part, pseq, by, at });
    it.aside.operations.push(operation.clone());
    Some(ask(it, is_it))
}

impl MemoryStore {
    fn answer<T: Send + 'static>(
        &self,
        context: &str,
        act: impl FnOnce(&mut Database) -> T,
    ) -> BoxFuture<'static, Result<T, StoreError>> {
        Box::pin(ready(self.with(context, |it| Ok(act(it)))))
    }
}

impl Letters for MemoryStore {
    fn list<'a>(
        &'a self,
        context: &'a str,
        wanted: &'a Wanted,
    ) -> BoxFuture<'a, Result<Listed, StoreError>> {
        self.answer(context, |it| {
            let mut letters = Vec::new();
            if wanted.commands() {
                letters.extend(commands(it, context, wanted));
            }
            if wanted.events() {
                letters.extend(events(it, context, wanted));
            }
            let total = i64::try_from(letters.len()).unwrap_or(i64::MAX);
            letters.truncate(usize::try_from(wanted.limit).unwrap_or_default());
            Listed { letters, total }
        })
    }

    fn ask_again<'a>(
        &'a self,
        context: &'a str,
        wanted: &'a Wanted,
        operation: &'a Operation,
    ) -> BoxFuture<'a, Result<Vec<i64>, StoreError>> {
        self.answer(context, |it| {
            let ids = ask(it, |of, it| is_wanted(of, it, wanted));
            if !ids.is_empty() {
                let result = format!("asked for {} streams", ids.len());
                it.aside.operations.push(Operation { result, ..operation.clone() });
            }
            ids
        })
    }

    fn is_asked<'a>(
        &'a self,
        context: &'a str,
        requests: &'a [i64],
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.answer(context, |it| {
            it.views.values().any(|table| {
                let of = |id| table.asked.get(id);
                let waits = |(topic, part, stream): &(String, i32, Uuid)| {
                    table.parked.iter().any(|it| is_of(it, topic, *part, *stream))
                };
                requests.iter().filter_map(of).any(waits)
            })
        })
    }

    fn discard<'a>(
        &'a self,
        event: &'a EventPlace,
        operation: &'a Operation,
    ) -> BoxFuture<'a, Result<Option<Vec<i64>>, StoreError>> {
        self.answer(&event.context, |it| discard(it, event, operation))
    }

    fn resolve<'a>(
        &'a self,
        command: &'a CommandPlace,
        resolution: &'a str,
        operation: &'a Operation,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.answer(&command.context, |it| {
            let open =
                |letter: &&DeadLetter| is_at(letter, command) && !it.aside.is_resolved(letter);
            let Some(letter) = it.dead_letters.iter().find(open) else { return false };
            let place = (letter.part, letter.offset, letter.digest.clone());
            let resolution = Resolution { at: operation.at, what: resolution.to_owned() };
            it.aside.resolutions.insert(place, resolution);
            it.aside.operations.push(operation.clone());
            true
        })
    }

    fn is_letter<'a>(
        &'a self,
        context: &'a str,
        command_id: Uuid,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.answer(context, |it| {
            it.dead_letters.iter().any(|it| it.command_id == Some(command_id))
        })
    }

    fn note<'a>(
        &'a self,
        context: &'a str,
        operation: &'a Operation,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        self.answer(context, |it| it.aside.operations.push(operation.clone()))
    }

    fn operations<'a>(
        &'a self,
        context: &'a str,
        letter: Option<&'a str>,
        limit: i64,
    ) -> BoxFuture<'a, Result<Vec<Operation>, StoreError>> {
        self.answer(context, |it| {
            let meant = it.aside.operations.iter().rev();
            let meant = meant.filter(|it| letter.is_none_or(|letter| letter == it.letter));
            meant.take(usize::try_from(limit).unwrap_or_default()).cloned().collect()
        })
    }

    fn discards<'a>(
        &'a self,
        context: &'a str,
        view: &'a str,
    ) -> BoxFuture<'a, Result<Vec<Discard>, StoreError>> {
        self.answer(context, |it| it.aside.discarded(view).cloned().collect())
    }
}
