//! Flows by number. Numbers of flows that are gone are used again, so that memory follows what is open.

use std::ops::{Index, IndexMut};

/// The number of a flow.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FlowId(u32);

impl FlowId {
    /// The least number there is.
    pub const FIRST: FlowId = FlowId(0);
    /// The greatest.
    pub const LAST: FlowId = FlowId(u32::MAX);
}

/// Boxed values by number.
#[derive(Debug)]
pub struct Slab<T> {
    entries: Vec<Option<Box<T>>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Slab { entries: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    /// Takes a value in.
    pub fn insert(&mut self, value: T) -> FlowId {
        let value = Some(Box::new(value));
        match self.free.pop() {
            Some(index) => {
                self.entries[index as usize] = value;
                FlowId(index)
            }
            None => {
                self.entries.push(value);
                FlowId((self.entries.len() - 1) as u32)
            }
        }
    }

    /// Gives a value out, if it is there.
    pub fn remove(&mut self, id: FlowId) -> Option<Box<T>> {
        let value = self.entries.get_mut(id.0 as usize)?.take();
        if value.is_some() {
            self.free.push(id.0);
        }
        value
    }

    /// The value, if it is there.
    #[inline]
    pub fn find(&self, id: FlowId) -> Option<&T> {
        self.entries.get(id.0 as usize)?.as_deref()
    }

    /// The value, if it is there.
    #[inline]
    pub fn find_mut(&mut self, id: FlowId) -> Option<&mut T> {
        self.entries.get_mut(id.0 as usize)?.as_deref_mut()
    }

    /// All values.
    pub fn iter(&self) -> impl Iterator<Item = (FlowId, &T)> {
        self.entries.iter().enumerate().filter_map(|(index, entry)| Some((FlowId(index as u32), entry.as_deref()?)))
    }
}

impl<T> Index<FlowId> for Slab<T> {
    type Output = T;
    /// Panics when the value was removed: numbers must not outlive what they number.
    fn index(&self, id: FlowId) -> &T {
        self.entries[id.0 as usize].as_deref().expect("a flow's number is dropped with the flow")
    }
}

impl<T> IndexMut<FlowId> for Slab<T> {
    fn index_mut(&mut self, id: FlowId) -> &mut T {
        self.entries[id.0 as usize].as_deref_mut().expect("a flow's number is dropped with the flow")
    }
}
