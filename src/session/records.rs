//! The sessions that are being followed: which flows are their legs, and which legs are over.

use std::ops::{Deref, DerefMut};

use hashbrown::HashTable;
use hashbrown::hash_table::{Entry as Place, OccupiedEntry};

use crate::session::Session;
use crate::session::aside;
use crate::session::closing;
use crate::session::leg::{JoinReason, Leg, LegRole, SessionId};
use crate::session::neighbours::Ending;
use crate::session::over::Over;
use crate::session::slab::FlowId;
use crate::session::spare::Spare;
use crate::time::Timestamp;

/// A leg of a session, while it is followed and after.
pub struct Entry {
    /// The index of the entry in front of it: a hundred thousand sessions may be open, none with so many legs.
    pub behind: Option<u32>,
    /// What ties it to that one.
    pub joined_by: Option<JoinReason>,
    /// Where it is.
    pub state: EntryState,
}

impl Entry {
    /// Which entry is in front of it.
    pub fn front(&self) -> Option<usize> {
        self.behind.map(|front| front as usize)
    }

    /// Whether that is this one.
    pub fn is_behind(&self, index: usize) -> bool {
        self.front() == Some(index)
    }
}

/// Where a leg is.
pub enum EntryState {
    /// Being followed.
    Live(FlowId),
    /// Over: what is known of it.
    Done(Over),
}

/// The legs of a session. Where no proxy was seen there is one: a hundred thousand sessions may be open.
pub enum Entries {
    /// The only one.
    One(Entry),
    /// Several.
    Many(Vec<Entry>),
}

impl Entries {
    /// Adds one behind the others.
    pub fn push(&mut self, entry: Entry) {
        match std::mem::replace(self, Entries::Many(Vec::new())) {
            Entries::One(first) => *self = Entries::Many(vec![first, entry]),
            Entries::Many(mut entries) => {
                entries.push(entry);
                *self = Entries::Many(entries);
            }
        }
    }
}

impl IntoIterator for Entries {
    type Item = Entry;
    type IntoIter = std::iter::Chain<std::option::IntoIter<Entry>, std::vec::IntoIter<Entry>>;

    fn into_iter(self) -> Self::IntoIter {
        let (one, many) = match self {
            Entries::One(entry) => (Some(entry), Vec::new()),
            Entries::Many(entries) => (None, entries),
        };
        one.into_iter().chain(many)
    }
}

impl Deref for Entries {
    type Target = [Entry];

    fn deref(&self) -> &[Entry] {
        match self {
            Entries::One(entry) => std::slice::from_ref(entry),
            Entries::Many(entries) => entries,
        }
    }
}

impl DerefMut for Entries {
    fn deref_mut(&mut self) -> &mut [Entry] {
        match self {
            Entries::One(entry) => std::slice::from_mut(entry),
            Entries::Many(entries) => entries,
        }
    }
}

/// A session that is being followed.
pub struct Record {
    /// Its first packet.
    pub start: Timestamp,
    /// Its legs, in the order in which they were found.
    pub entries: Entries,
    /// Legs that are still followed.
    pub live: u32,
}

impl Record {
    /// The entry of a flow.
    pub fn index_of(&self, flow: FlowId) -> Option<usize> {
        self.entries.iter().position(|entry| matches!(entry.state, EntryState::Live(id) if id == flow))
    }

    /// Of a leg that is over, and that has a session of its own.
    pub fn of_leg(leg: Box<Leg>) -> Record {
        let start = leg.tcp.first.at;
        let entry = Entry { behind: None, joined_by: None, state: EntryState::Done(Over::Told(leg)) };
        Record { start, entries: Entries::One(entry), live: 0 }
    }

    /// Of legs that are over: the first one, and what was tried behind it while it waited.
    pub fn of_legs(first: Box<Leg>, behind: Vec<Box<Leg>>) -> Record {
        let mut record = Record::of_leg(first);
        for leg in behind {
            let state = EntryState::Done(Over::Told(leg));
            record.entries.push(Entry { behind: Some(0), joined_by: Some(JoinReason::Time), state });
        }
        record
    }

    /// How it began and ended, for comparison with others: by its legs that are over.
    pub fn ending(&self, id: SessionId) -> Option<Ending> {
        let legs = self.entries.iter().filter_map(|entry| match &entry.state {
            EntryState::Done(leg) => Some(leg),
            EntryState::Live(_) => None,
        });
        Some(Ending::of_legs(id, self.start, legs.clone().next()?, legs))
    }

    /// How many proxies are in front of an entry.
    pub fn depth(&self, mut index: usize) -> usize {
        let mut depth = 0;
        while let Some(front) = self.entries.get(index).and_then(Entry::front) {
            depth += 1;
            if depth > self.entries.len() {
                break; // a ring cannot be made by joining, and must not hang if it were
            }
            index = front;
        }
        depth
    }
}

/// All of them, by id.
#[derive(Default)]
pub struct Records {
    records: HashTable<(SessionId, Record)>,
    last: SessionId,
}

/// Serial numbers are as good as random ones where they are looked up, and what began together lies together then. The
/// highest bits are what a table tells neighbours apart by.
const fn hash_of(id: SessionId) -> u64 {
    id.0 | id.0 << 57
}

impl Records {
    /// A new session with one leg; with the number that was promised for it.
    pub fn open(&mut self, promised: Option<SessionId>, flow: FlowId, start: Timestamp) -> SessionId {
        let entry = Entry { behind: None, joined_by: None, state: EntryState::Live(flow) };
        self.add(promised, Record { start, entries: Entries::One(entry), live: 1 })
    }

    /// A new session that is over already.
    pub fn open_done(&mut self, promised: Option<SessionId>, leg: Box<Leg>) -> SessionId {
        self.add(promised, Record::of_leg(leg))
    }

    /// A number for a session that may come.
    pub fn promise(&mut self) -> SessionId {
        self.last.0 += 1;
        self.last
    }

    fn add(&mut self, promised: Option<SessionId>, record: Record) -> SessionId {
        let id = promised.unwrap_or_else(|| self.promise());
        match self.records.entry(hash_of(id), |(other, _)| *other == id, |(other, _)| hash_of(*other)) {
            Place::Occupied(known) => known.into_mut().1 = record,
            Place::Vacant(free) => _ = free.insert((id, record)),
        }
        id
    }

    /// The record of a session.
    pub fn find(&self, id: SessionId) -> Option<&Record> {
        self.records.find(hash_of(id), |(other, _)| *other == id).map(|(_, record)| record)
    }

    /// The record of a session.
    pub fn find_mut(&mut self, id: SessionId) -> Option<&mut Record> {
        self.records.find_mut(hash_of(id), |(other, _)| *other == id).map(|(_, record)| record)
    }

    /// Takes a session out.
    pub fn take(&mut self, id: SessionId) -> Option<Record> {
        let found = self.records.find_entry(hash_of(id), |(other, _)| *other == id);
        found.ok().map(OccupiedEntry::remove).map(|((_, record), _)| record)
    }

    /// The greatest number that a session has, or was promised.
    pub fn last(&self) -> SessionId {
        self.last
    }

    /// Adds a leg behind entry `front` of a session; `None` when there is no such session.
    pub fn attach(&mut self, id: SessionId, front: usize, mut entry: Entry) -> Option<usize> {
        let record = self.find_mut(id)?;
        entry.behind = Some(front as u32);
        record.live += u32::from(matches!(entry.state, EntryState::Live(_)));
        record.entries.push(entry);
        Some(record.entries.len() - 1)
    }

    /// Puts all legs of `from` behind entry `front` of `into`. Returns the flows that moved.
    pub fn merge(&mut self, into: SessionId, front: usize, from: SessionId, reason: JoinReason) -> Vec<FlowId> {
        if into == from || self.find(into).is_none() {
            return Vec::new();
        }
        let Some(source) = self.take(from) else { return Vec::new() };
        let Some(target) = self.find_mut(into) else { return Vec::new() };
        let base = target.entries.len() as u32;
        let mut moved = Vec::new();
        for mut entry in source.entries {
            match entry.behind {
                Some(index) => entry.behind = Some(base + index),
                None => {
                    entry.behind = Some(front as u32);
                    entry.joined_by = Some(reason);
                }
            }
            if let EntryState::Live(flow) = entry.state {
                moved.push(flow);
            }
            target.entries.push(entry);
        }
        target.live += source.live;
        target.start = target.start.min(source.start);
        moved
    }
}

/// Makes a session of its legs, in room that is there: puts them in order, gives them their roles, says what became of it
/// and who ended it.
pub fn complete(id: SessionId, record: Record, spare: &mut Spare) -> Option<Session> {
    let start = record.start;
    let mut legs = legs_of(record, spare);
    for index in 0..legs.len() {
        legs[index].role = role_of(&legs, index);
        legs[index].outcome = closing::outcome_of(&legs[index]);
        legs[index].is_aside = aside::is_aside(&legs, index);
    }
    let outcome = legs.first()?.outcome;
    let end = legs.iter().map(|leg| leg.tcp.last.at).max()?;
    let ended_by = closing::ended_by(&legs, outcome);
    Some(Session { id, legs, start, end, outcome, ended_by })
}

/// The legs that are over: from the client on, attempts of one proxy in the order in which they were made.
fn legs_of(mut record: Record, spare: &mut Spare) -> Vec<Leg> {
    let mut legs = spare.legs(record.entries.len());
    if record.entries.len() > 1 {
        put_in_order(&mut record);
    }
    for entry in record.entries {
        let (behind, joined_by) = (entry.front(), entry.joined_by);
        let EntryState::Done(over) = entry.state else { continue };
        legs.push(over.into_leg(spare));
        if let Some(leg) = legs.last_mut() {
            (leg.behind, leg.joined_by) = (behind, joined_by);
        }
    }
    legs
}

/// Puts entries in the order of their legs.
fn put_in_order(record: &mut Record) {
    let first = |index: usize| match &record.entries[index].state {
        EntryState::Done(leg) => Some(leg.first()),
        EntryState::Live(_) => None,
    };
    let mut order: Vec<usize> = (0..record.entries.len()).collect();
    order.sort_by_key(|&index| (record.depth(index), first(index)));
    let mut place = vec![0; order.len()];
    order.iter().enumerate().for_each(|(new, &old)| place[old] = new);
    for entry in record.entries.iter_mut() {
        entry.behind = entry.front().map(|front| place[front] as u32);
    }
    let entries = std::mem::replace(&mut record.entries, Entries::Many(Vec::new()));
    let mut placed: Vec<(usize, Entry)> = place.into_iter().zip(entries).collect();
    placed.sort_by_key(|(place, _)| *place);
    record.entries = Entries::Many(placed.into_iter().map(|(_, entry)| entry).collect());
}

fn role_of(legs: &[Leg], index: usize) -> LegRole {
    let has_back = legs.iter().any(|leg| leg.behind == Some(index));
    match (legs[index].behind, has_back) {
        (None, true) => LegRole::ClientProxy,
        (Some(_), true) => LegRole::ProxyProxy,
        (Some(_), false) => LegRole::ProxyBackend,
        (None, false) if is_forwarded(&legs[index]) => LegRole::ProxyBackend,
        (None, false) => LegRole::Direct,
    }
}

/// Whether the request says itself that a proxy made it.
fn is_forwarded(leg: &Leg) -> bool {
    leg.proxy_header.is_some() || leg.request.as_deref().is_some_and(|request| request.head.fields.say_forwarded())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_session_is_small() {
        assert_eq!(size_of::<Record>(), 48);
    }
}
