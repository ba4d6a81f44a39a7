//! Where connections are, by the hashes of their endpoints.
//!
//! Of many connections most are far from the processor, and so is most of a table of them. Here a hash stands beside what
//! it stands for, and what has the same bucket stands behind it: a look-up waits for memory once. The endpoints
//! themselves stand in the connection, which has to be touched anyway: so the table is small, one is enough for IPv4 and
//! IPv6, and growing it touches no connection.

/// Places by hash.
pub(super) struct Places {
    /// A power of two.
    buckets: Box<[Bucket]>,
    taken: usize,
}

#[derive(Clone, Copy)]
struct Bucket {
    hash: u32,
    place: u32,
}

const FREE: Bucket = Bucket { hash: 0, place: u32::MAX };

impl Places {
    const FEWEST: usize = 64;

    pub(super) fn new() -> Places {
        Places { buckets: Box::new([FREE; Self::FEWEST]), taken: 0 }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.taken
    }

    /// The place with this hash that is the one.
    #[inline]
    pub(super) fn find(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        self.bucket_of(hash, is_it).map(|at| self.buckets[at].place)
    }

    /// Adds a place that is not there; [`u32::MAX`] is none.
    pub(super) fn insert(&mut self, hash: u32, place: u32) {
        // The longer the runs of taken buckets, the longer the way to a free one: three buckets at this load to what is
        // there, thirteen to find that it is not.
        if self.taken >= self.buckets.len() / 5 * 4 {
            self.grow();
        }
        self.taken += 1;
        self.put(Bucket { hash, place });
    }

    /// Takes a place out.
    pub(super) fn remove(&mut self, hash: u32, place: u32) {
        let Some(mut hole) = self.bucket_of(hash, |other| other == place) else { return };
        let mut at = hole;
        loop {
            at = self.behind(at);
            let bucket = self.buckets[at];
            if bucket.is_free() {
                break;
            }
            // Nobody may stand in front of the bucket where he is looked for first.
            if self.distance(self.first(bucket.hash), at) >= self.distance(hole, at) {
                self.buckets[hole] = bucket;
                hole = at;
            }
        }
        self.buckets[hole] = FREE;
        self.taken -= 1;
    }

    #[inline]
    fn bucket_of(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<usize> {
        let mut at = self.first(hash);
        loop {
            let bucket = self.buckets[at];
            if bucket.is_free() {
                return None;
            }
            if bucket.hash == hash && is_it(bucket.place) {
                return Some(at);
            }
            at = self.behind(at);
        }
    }

    fn put(&mut self, bucket: Bucket) {
        let mut at = self.first(bucket.hash);
        while !self.buckets[at].is_free() {
            at = self.behind(at);
        }
        self.buckets[at] = bucket;
    }

    #[cold]
    fn grow(&mut self) {
        let twice = vec![FREE; self.buckets.len() * 2].into_boxed_slice();
        let all = std::mem::replace(&mut self.buckets, twice);
        all.iter().filter(|bucket| !bucket.is_free()).for_each(|bucket| self.put(*bucket));
    }

    /// Where a hash is looked for first.
    #[inline]
    fn first(&self, hash: u32) -> usize {
        hash as usize & (self.buckets.len() - 1)
    }

    #[inline]
    fn behind(&self, at: usize) -> usize {
        (at + 1) & (self.buckets.len() - 1)
    }

    /// How many buckets `at` is behind `from`.
    fn distance(&self, from: usize, at: usize) -> usize {
        at.wrapping_sub(from) & (self.buckets.len() - 1)
    }
}

impl Bucket {
    #[inline]
    fn is_free(&self) -> bool {
        self.place == FREE.place
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Few different hashes, at the end of the table too: many share a bucket, and runs go on at the beginning.
        #[test]
        fn what_is_there_is_found_and_nothing_else(
            steps in prop::collection::vec((prop::sample::select(vec![0_u32, 1, 2, 62, 63, 127, 190]), 0..400_u32, 0..3), 0..600)
        ) {
            let (mut places, mut known) = (Places::new(), BTreeMap::new());
            for (hash, place, step) in steps {
                match known.get(&place) {
                    None if step > 0 => {
                        places.insert(hash, place);
                        known.insert(place, hash);
                    }
                    Some(&hash) if step == 0 => {
                        places.remove(hash, place);
                        known.remove(&place);
                    }
                    _ => {}
                }
                prop_assert_eq!(places.len(), known.len());
            }
            for place in 0..400 {
                for hash in [0, 1, 2, 62, 63, 127, 190] {
                    let there = known.get(&place) == Some(&hash);
                    prop_assert_eq!(places.find(hash, |other| other == place), there.then_some(place));
                }
            }
        }
    }
}
