//! Static and dynamic table as one (RFC 7541 §2.3).

use std::collections::VecDeque;

use crate::h2::hpack::Field;
use crate::h2::hpack::static_table::STATIC_TABLE;

/// What an entry counts beside its strings (RFC 7541 §4.1).
const OVERHEAD: usize = 32;

/// The size that a dynamic table may have until its sender says another (RFC 9113 §6.5.2, HEADER_TABLE_SIZE).
const INITIAL_SIZE: usize = 4096;

/// An entry, as far as it is known.
#[derive(Debug)]
pub(super) struct Entry {
    name: Option<Box<[u8]>>,
    value: Option<Box<[u8]>>,
}

impl Entry {
    pub(super) fn new(field: Field<'_>) -> Entry {
        Entry { name: field.name.map(Box::from), value: field.value.map(Box::from) }
    }

    /// At least this: a name that was not seen has some length too.
    fn size(&self) -> usize {
        let length = |part: &Option<Box<[u8]>>| part.as_ref().map_or(0, |part| part.len());
        length(&self.name) + length(&self.value) + OVERHEAD
    }
}

/// The table of one sender.
#[derive(Debug)]
pub(super) struct Table {
    /// The newest first.
    entries: VecDeque<Entry>,
    size: usize,
    /// What the sender keeps to.
    limit: usize,
    /// What we keep to.
    most: usize,
    /// Whether there are older entries that we do not have.
    more: bool,
    overflows: u64,
}

impl Table {
    pub(super) fn new(most: usize) -> Table {
        Table { entries: VecDeque::new(), size: 0, limit: INITIAL_SIZE, most, more: false, overflows: 0 }
    }

    pub(super) fn overflows(&self) -> u64 {
        self.overflows
    }

    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// What it holds was not seen.
    pub(super) fn forget(&mut self) {
        self.entries.clear();
        self.size = 0;
        self.more = true;
        // Another size may have been said.
        self.limit = usize::MAX;
    }

    /// The entry of this index, from 1; `None` when there is none.
    pub(super) fn entry(&self, index: u32) -> Option<Field<'_>> {
        let index = (index as usize).checked_sub(1)?;
        if let Some((name, value)) = STATIC_TABLE.get(index) {
            return Some(Field { name: Some(name.as_bytes()), value: Some(value.as_bytes()) });
        }
        match self.entries.get(index - STATIC_TABLE.len()) {
            Some(entry) => Some(Field { name: entry.name.as_deref(), value: entry.value.as_deref() }),
            None => self.more.then_some(Field { name: None, value: None }),
        }
    }

    /// RFC 7541 §4.4: the oldest give way; an entry larger than the table empties it.
    pub(super) fn insert(&mut self, entry: Entry) {
        self.size += entry.size();
        self.entries.push_front(entry);
        self.evict();
    }

    /// The sender says a new size (RFC 7541 §6.3).
    pub(super) fn resize(&mut self, limit: usize) {
        self.limit = limit;
        if limit == 0 {
            self.more = false;
        }
        self.evict();
    }

    fn evict(&mut self) {
        while self.size > self.limit {
            self.drop_oldest();
        }
        while self.size > self.most {
            self.drop_oldest();
            self.more = true;
            self.overflows += 1;
        }
    }

    fn drop_oldest(&mut self) {
        match self.entries.pop_back() {
            Some(entry) => self.size -= entry.size(),
            None => self.size = 0,
        }
    }
}
