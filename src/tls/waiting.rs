//! Encrypted records that wait for their secret, in the order in which they were captured.

use std::collections::VecDeque;

use super::half::Loss;
use super::record::RecordHeader;
use super::secrets::Room;
use crate::packet::Moment;
use crate::stream::{ByRole, Role};

/// What waits.
pub(super) enum Item {
    /// A record.
    Record(Role, Moment, RecordHeader, Box<[u8]>),
    /// A hole in one direction.
    Lost(Role, Loss),
}

/// The queue of one connection: both directions in one, so that what comes out of it is in order.
///
/// When a direction has no room left, all that follows on it is lost; the beginning, with the opening handshake in it,
/// is worth the most.
#[derive(Default)]
pub(super) struct Waiting {
    items: VecDeque<Item>,
    bytes: ByRole<usize>,
    /// What was lost on a direction since there was no more room for it.
    overflow: ByRole<Option<Loss>>,
    room: Option<Room>,
}

/// What an item costs beside its body.
const ITEM: usize = size_of::<Item>();

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty() && self.overflow.client.is_none() && self.overflow.server.is_none()
    }

    /// Keeps a record, or notes that it is lost: `loss` says what that costs. Whether it was kept.
    pub(super) fn push(
        &mut self,
        (role, moment, header): (Role, Moment, RecordHeader),
        body: &[u8],
        loss: Loss,
        limit: usize,
        room: &Room,
    ) -> bool {
        if !self.reserve(role, body.len() + ITEM, limit, room) {
            self.overflow[role].get_or_insert_default().add(loss);
            return false;
        }
        self.items.push_back(Item::Record(role, moment, header, body.into()));
        true
    }

    /// Notes a hole in one direction.
    pub(super) fn lose(&mut self, role: Role, loss: Loss, limit: usize, room: &Room) {
        if let (Some(Item::Lost(last, sum)), None) = (self.items.back_mut(), self.overflow[role])
            && *last == role
        {
            sum.add(loss);
        } else if self.reserve(role, ITEM, limit, room) {
            self.items.push_back(Item::Lost(role, loss));
        } else {
            self.overflow[role].get_or_insert_default().add(loss);
        }
    }

    /// The next item in order of capture; at the end what did not find room.
    pub(super) fn pop(&mut self) -> Option<Item> {
        if let Some(item) = self.items.pop_front() {
            let (role, bytes) = match &item {
                Item::Record(role, _, _, body) => (*role, body.len() + ITEM),
                Item::Lost(role, _) => (*role, ITEM),
            };
            self.bytes[role] = self.bytes[role].saturating_sub(bytes);
            self.give_back(bytes);
            return Some(item);
        }
        Role::BOTH.into_iter().find_map(|role| self.overflow[role].take().map(|loss| Item::Lost(role, loss)))
    }

    fn reserve(&mut self, role: Role, bytes: usize, limit: usize, room: &Room) -> bool {
        let fits = self.overflow[role].is_none() && self.bytes[role] + bytes <= limit && room.take(bytes);
        if fits {
            self.bytes[role] += bytes;
            self.room.get_or_insert_with(|| room.clone());
        }
        fits
    }

    fn give_back(&self, bytes: usize) {
        if let Some(room) = &self.room {
            room.give_back(bytes);
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.give_back(self.bytes.client + self.bytes.server);
    }
}
