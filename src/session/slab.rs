//! Flows by number. Numbers of flows that are gone are used again, so that memory follows what is open.

use std::ops::{Index, IndexMut};

use crate::tcp;

/// The number of a flow.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FlowId(u32);

impl FlowId {
    /// The least number there is.
    pub const FIRST: FlowId = FlowId(0);
    /// The greatest.
    pub const LAST: FlowId = FlowId(u32::MAX);
}

/// Values by number.
pub struct Slab<T>(tcp::slab::Slab<Option<T>>);

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Slab(tcp::slab::Slab::new())
    }
}

impl<T> Slab<T> {
    /// Takes a value in.
    pub fn insert(&mut self, value: T) -> FlowId {
        FlowId(self.0.insert(Some(value)))
    }

    /// Gives a value out, if it is there.
    pub fn remove(&mut self, id: FlowId) -> Option<T> {
        self.find(id)?;
        self.0.remove(id.0, None)
    }

    /// The value, if it is there.
    #[inline]
    pub fn find(&self, id: FlowId) -> Option<&T> {
        self.0.get(id.0)?.as_ref()
    }

    /// The value, if it is there.
    #[inline]
    pub fn find_mut(&mut self, id: FlowId) -> Option<&mut T> {
        self.0.get_mut(id.0)?.as_mut()
    }

    /// All values.
    pub fn iter(&self) -> impl Iterator<Item = (FlowId, &T)> {
        self.0.iter().filter_map(|(index, value)| Some((FlowId(index), value.as_ref()?)))
    }
}

impl<T> Index<FlowId> for Slab<T> {
    type Output = T;
    /// Panics when the value was removed: numbers must not outlive what they number.
    fn index(&self, id: FlowId) -> &T {
        self.find(id).expect("a flow's number is dropped with the flow")
    }
}

impl<T> IndexMut<FlowId> for Slab<T> {
    fn index_mut(&mut self, id: FlowId) -> &mut T {
        self.find_mut(id).expect("a flow's number is dropped with the flow")
    }
}
