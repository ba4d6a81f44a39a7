//! What all dialogues share: heads that were seen before, and the bounds.

use crate::limits::Limits;

/// Heads that were seen lately, so that equal ones share memory; and the bounds of a dialogue.
#[derive(Debug)]
pub struct HeadStore {
    pub(super) head_bytes: usize,
    pub(super) head_fields: usize,
    pub(super) early_bytes: usize,
}

impl HeadStore {
    /// An empty store.
    pub fn new(limits: &Limits) -> HeadStore {
        HeadStore { head_bytes: limits.head_bytes, head_fields: limits.head_fields, early_bytes: limits.early_bytes }
    }
}
