//! Many things of one size, found by number. It grows piece by piece, so that growing never needs the memory twice.

/// The things, and which places are free.
pub(crate) struct Slab<T> {
    chunks: Vec<Vec<T>>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    const CHUNK: usize = 1 << 12;

    pub(crate) const fn new() -> Slab<T> {
        Slab { chunks: Vec::new(), free: Vec::new() }
    }

    /// Puts `value` into a free place.
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        if let Some(index) = self.free.pop() {
            self[index] = value;
            return index;
        }
        if self.chunks.last().is_none_or(|chunk| chunk.len() == Self::CHUNK) {
            self.chunks.push(Vec::with_capacity(Self::CHUNK));
        }
        let chunk = self.chunks.len() - 1;
        let offset = self.chunks[chunk].len();
        self.chunks[chunk].push(value);
        (chunk * Self::CHUNK + offset) as u32
    }

    /// Leaves `vacant` in a place, free to be used again.
    pub(crate) fn remove(&mut self, index: u32, vacant: T) -> T {
        self.free.push(index);
        std::mem::replace(&mut self[index], vacant)
    }

    /// A place, if there is one of this number.
    #[inline]
    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        self.chunks.get(index as usize / Self::CHUNK)?.get(index as usize % Self::CHUNK)
    }

    /// A place, if there is one of this number.
    #[inline]
    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        self.chunks.get_mut(index as usize / Self::CHUNK)?.get_mut(index as usize % Self::CHUNK)
    }

    /// All places, vacant ones too.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.chunks.iter().flatten().enumerate().map(|(index, value)| (index as u32, value))
    }
}

impl<T> std::ops::Index<u32> for Slab<T> {
    type Output = T;

    #[inline]
    fn index(&self, index: u32) -> &T {
        &self.chunks[index as usize / Self::CHUNK][index as usize % Self::CHUNK]
    }
}

impl<T> std::ops::IndexMut<u32> for Slab<T> {
    #[inline]
    fn index_mut(&mut self, index: u32) -> &mut T {
        &mut self.chunks[index as usize / Self::CHUNK][index as usize % Self::CHUNK]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_used_again() {
        let mut slab = Slab::new();
        let places: Vec<u32> = (0..5000).map(|i| slab.insert(i)).collect();
        assert_eq!((slab[places[4096]], slab[places[4999]]), (4096, 4999));
        assert_eq!(slab.remove(places[7], 0), 7);
        assert_eq!(slab.insert(-70), places[7]);
        assert_eq!(slab.iter().map(|(_, value)| *value).filter(|value| *value == -70).count(), 1);
    }
}
