//! What a rule may look at.
//!
//! Many rules begin with the same question. It is answered once a session, when the first of them asks.

use std::cell::OnceCell;

use crate::diagnosis::ending;
use crate::session::neighbours::Ending;
use crate::session::{Neighbours, Session};
use crate::stream::Role;
use crate::ws::facts::Close;

/// What a rule may look at.
pub struct Facts<'a> {
    /// The session to judge.
    pub session: &'a Session,
    /// The rest of the capture, and this session as it counts among the others.
    pub neighbours: &'a Neighbours,
    own_ending: OnceCell<Ending>,
    ending_without_close: OnceCell<Option<ending::Ending<'a>>>,
    first_close: OnceCell<Option<(usize, Role, &'a Close)>>,
}

impl<'a> Facts<'a> {
    /// Of this session, in this capture.
    pub fn new(session: &'a Session, neighbours: &'a Neighbours) -> Facts<'a> {
        Facts {
            session,
            neighbours,
            own_ending: OnceCell::new(),
            ending_without_close: OnceCell::new(),
            first_close: OnceCell::new(),
        }
    }

    /// How the session ended, in the terms by which sessions are compared.
    pub fn own_ending(&self) -> &Ending {
        self.own_ending.get_or_init(|| Ending::of(self.session))
    }

    /// The end of a session that ended without a Close frame.
    pub fn ending_without_close(&self) -> Option<&ending::Ending<'a>> {
        self.ending_without_close.get_or_init(|| ending::ending_without_close(self.session)).as_ref()
    }

    /// The first Close frame of the session, by whom, on the leg where it was born.
    pub fn first_close(&self) -> Option<(usize, Role, &'a Close)> {
        *self.first_close.get_or_init(|| ending::first_close(self.session))
    }
}
