//! Groups of the log in memory: who has which partitions, and what each was told of it.
use crate::port::log::Move;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// A topic and a partition.
pub(super) type Place = (Arc<str>, i32);

#[derive(Default)]
pub(super) struct Group {
    pub(super) members: BTreeMap<u64, Member>,
    pub(super) committed: BTreeMap<Place, i64>,
    /// Which member begins when partitions are shared: another one, other owners.
    turn: usize,
}

#[derive(Default)]
pub(super) struct Member {
    /// The process that it is part of.
    pub(super) who: u32,
    pub(super) topics: Vec<Arc<str>>,
    pub(super) assigned: BTreeMap<Place, i64>,
    pub(super) moves: Vec<Move>,
    /// Thrown out without knowing: it keeps what it has, and is told nothing.
    pub(super) expelled: bool,
}

impl Group {
    /// Shares the partitions of the topics among the members that take part: each gets every n-th.
    pub(super) fn rebalance(&mut self, partitions: i32) {
        let ids: Vec<u64> =
            self.members.iter().filter(|(_, it)| !it.expelled).map(|(id, _)| *id).collect();
        for (index, id) in ids.iter().enumerate() {
            let Some(member) = self.members.get_mut(id) else { continue };
            let index = (index + self.turn) % ids.len();
            let mine: BTreeSet<Place> = member
                .topics
                .iter()
                .flat_map(|topic| (0..partitions).map(move |part| (Arc::clone(topic), part)))
                .filter(|(_, part)| usize::try_from(*part).unwrap_or_default() % ids.len() == index)
                .collect();
            let lost: Vec<Place> =
                member.assigned.keys().filter(|it| !mine.contains(*it)).cloned().collect();
            let won: Vec<Place> =
                mine.iter().filter(|it| !member.assigned.contains_key(*it)).cloned().collect();
            for place in &lost {
                member.assigned.remove(place);
            }
            for place in &won {
                let from = self.committed.get(place).copied().unwrap_or(0);
                member.assigned.insert(place.clone(), from);
            }
            if !lost.is_empty() {
                member.moves.push(Move::Revoked(lost));
            }
            // Also when nothing was won: it has joined.
            member.moves.push(Move::Assigned(won));
        }
    }

    /// The partitions go to other members than now.
    pub(super) fn rotate(&mut self, partitions: i32) {
        self.turn += 1;
        self.rebalance(partitions);
    }

    /// Gives the partitions of these members to the others, without telling them.
    pub(super) fn expel(&mut self, is_meant: impl Fn(&Member) -> bool, partitions: i32) {
        self.members.values_mut().filter(|it| is_meant(it)).for_each(|it| it.expelled = true);
        self.rebalance(partitions);
    }

    /// Tells these members, if they were expelled, what they lost, and lets them take part again.
    pub(super) fn readmit(&mut self, is_meant: impl Fn(&Member) -> bool, partitions: i32) {
        for member in self.members.values_mut().filter(|it| it.expelled && is_meant(it)) {
            member.expelled = false;
            let lost = std::mem::take(&mut member.assigned);
            member.moves.push(Move::Revoked(lost.into_keys().collect()));
        }
        self.rebalance(partitions);
    }
}
