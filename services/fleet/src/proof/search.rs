//! For few commands: whether there is any order of them that explains what clients were told, whatever is stored and
//! in whatever order it was committed.
//!
//! This is the search of Wing and Gong with Lowe's memory: a set of commands that left the customers in a state need
//! not be tried twice. Without it (stateright's tester has none) a dozen concurrent commands that nothing explains
//! take 12! attempts, with it at most 2¹².
use super::{Anomaly, Asked, History, Told, model::Model, promise, seconds};
use shared_events::customers::CustomerCommand;
use std::{collections::HashSet, time::Duration};
use uuid::Uuid;

/// More commands than these are not searched.
pub const COMMANDS_MAX: usize = 64;

/// So many states are kept before a search is given up.
const STATES_MAX: usize = 50_000;

/// What a search came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Search {
    /// There is an order that explains all answers.
    Explained,
    /// There is none.
    Unexplained(Anomaly),
    /// More than [`COMMANDS_MAX`] commands, or too many of them at once.
    TooLarge,
}

/// Looks for an order of the commands that is that of real time where one was answered before another was sent, and
/// in which every client is told what it was told. Commands that were given up may be in it or not.
#[must_use]
pub fn search(history: &History) -> Search {
    let mut commands: Vec<Request> = history.calls.iter().filter_map(Request::of).collect();
    if commands.len() > COMMANDS_MAX {
        return Search::TooLarge;
    }
    // Those that were answered first are tried first: mostly they were decided first.
    commands.sort_by_key(|it| it.ended.unwrap_or(Duration::MAX));
    let mut attempt = Attempt { commands: &commands, tried: HashSet::new(), longest: 0 };
    if attempt.extend(0, &Model::default()) {
        return Search::Explained;
    }
    if attempt.tried.len() >= STATES_MAX {
        return Search::TooLarge;
    }
    let left = commands.iter().enumerate().filter(|(index, _)| attempt.longest & 1 << index == 0);
    let left: Vec<String> = left.map(|(_, it)| it.to_string()).collect();
    let seen = format!("no order goes on with any of [{}]", left.join("; "));
    Search::Unexplained(Anomaly::new(promise::LINEARIZABLE, seen))
}

struct Request<'a> {
    id: Uuid,
    begun: Duration,
    ended: Option<Duration>,
    command: &'a CustomerCommand,
    told: Option<&'a Told>,
}

struct Attempt<'a> {
    commands: &'a [Request<'a>],
    /// Sets of commands, as bits, and what they came to.
    tried: HashSet<(u64, Model)>,
    /// The largest set that explains its answers.
    longest: u64,
}

impl Attempt<'_> {
    /// Whether all answers are explained after these commands, which came to this.
    fn extend(&mut self, done: u64, model: &Model) -> bool {
        let left = || self.commands.iter().enumerate().filter(|(index, _)| done & 1 << index == 0);
        let Some(until) = left().filter_map(|(_, it)| it.ended).min() else { return true };
        if self.tried.len() >= STATES_MAX || !self.tried.insert((done, model.clone())) {
            return false;
        }
        if done.count_ones() > self.longest.count_ones() {
            self.longest = done;
        }
        // Whatever was sent after another was answered comes after it.
        let next: Vec<usize> =
            left().filter(|(_, it)| it.begun <= until).map(|(index, _)| index).collect();
        next.into_iter().any(|index| {
            let it = &self.commands[index];
            let mut model = model.clone();
            let (said, _) = model.apply(it.command);
            let is_so = it.told.is_none_or(|told| {
                (told.code.as_deref(), told.holder) == (said.code, said.holder)
                    && told.version.is_none_or(|version| version == said.version)
            });
            is_so && self.extend(done | 1 << index, &model)
        })
    }
}

impl<'a> Request<'a> {
    fn of(call: &'a super::Call) -> Option<Self> {
        let Asked::Command { command_id, command, told } = &call.asked else { return None };
        let told = told.as_ref();
        if told.is_some_and(Told::is_reused) {
            return None;
        }
        // Without an answer it has no end, and without an end no answer.
        let ended = call.ended.filter(|_| told.is_some());
        let told = told.filter(|_| ended.is_some());
        Some(Self { id: *command_id, begun: call.begun, ended, command, told })
    }
}

impl std::fmt::Display for Request<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { id, begun, ended, command, told } = self;
        let ended = ended.map_or("given up".to_owned(), seconds);
        let answer = told.map(|it| (&it.code, it.holder, it.version));
        write!(f, "{id} {command:?} from {} to {ended}: {answer:?}", seconds(*begun))
    }
}
