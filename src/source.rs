//! Where packets come from: savefiles, a live device.
//!
//! A [`Source`] yields [`Input`], one after another, until there is no more. This is the outside world: a source may
//! block, read a clock, and fail.

mod error;
pub mod filter;
pub mod keylog;
#[cfg(feature = "live")]
pub mod live;
mod packets;
#[cfg(target_os = "linux")]
pub mod privileges;
pub mod savefile;

pub use error::SourceError;
pub(crate) use error::without_code;
pub use filter::{Filter, FilterError};
pub use packets::Packets;
pub use savefile::{Clocks, Savefiles};

use crate::packet::{InterfaceId, LinkType};
use crate::time::Timestamp;

/// One thing that a source yields. Borrowed: it is gone when the next one is asked for.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// Packets: as many as there are at once.
    Packets(Packets<'a>),
    /// Secrets that lie in a savefile among its packets.
    Secrets {
        /// What `data` is.
        format: SecretsFormat,
        /// The secrets, without padding.
        data: &'a [u8],
    },
    /// Nothing comes at the moment. It is this time now; where packets come through a pipe, it was when the last one came.
    Idle(Timestamp),
    /// An interface changed. From live sources only.
    Interface {
        /// Which.
        id: InterfaceId,
        /// What became of it.
        change: Change,
    },
    /// Packets of an interface were dropped since the last time. From live sources only.
    Dropped {
        /// Which.
        id: InterfaceId,
        /// How many, by the kernel and the interface.
        packets: u64,
    },
}

/// What became of an interface while it was captured on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// It went down.
    Down,
    /// It is up again, and captured on as before.
    Up,
    /// It was gone, and there is one of that name again, which is captured on.
    Back,
    /// The same, but it is of another kind, or cannot be captured on.
    Another,
}

impl Change {
    /// How a sentence about the interface goes on.
    pub const fn words(self) -> &'static str {
        match self {
            Change::Down => "is down",
            Change::Up => "is up again",
            Change::Back => "is back, and captured on again",
            Change::Another => {
                "is back, and not captured on: it is not what it was, and the right to open it anew was given up; start \
                 wsflow again for it"
            }
        }
    }
}

/// The format of a secrets block (draft-ietf-opsawg-pcapng, Decryption Secrets Block). Unknown ones keep their value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SecretsFormat(pub u32);

impl SecretsFormat {
    /// The text of an NSS key log file.
    pub const TLS_KEY_LOG: SecretsFormat = SecretsFormat(0x544C_534B);
}

/// Something that yields input.
pub trait Source {
    /// What comes next, and of packets not more than `most`; `None` at the end.
    ///
    /// After [`SourceError::Damaged`] it may be asked again: the rest of the damaged file is lost, other files go on.
    fn next(&mut self, most: usize) -> Result<Option<Input<'_>>, SourceError>;

    /// The interfaces met so far, by their [`InterfaceId`].
    fn interfaces(&self) -> &[Interface];

    /// What became of packets before they got here, until now.
    fn counts(&mut self) -> SourceCounts;
}

/// An interface of the capture.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interface {
    /// Its name where it was captured: `eth0`. Text from a file: hostile.
    pub name: Option<String>,
    /// What its packets begin with.
    pub link: LinkType,
    /// The bytes of a packet that were kept at most; 0 when there was no limit.
    pub snap_length: u32,
    /// Packets of it that were dropped, as far as the capture says.
    pub drops: Drops,
}

/// Packets that were lost while capturing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Drops {
    /// By the kernel, because nobody fetched them in time.
    pub kernel: u64,
    /// By the interface or its driver.
    pub interface: u64,
}

/// What became of packets before they got to the reader of a source.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SourceCounts {
    /// Packets that the filter did not select. Savefiles only: live, the kernel does not count them.
    pub filtered: u64,
    /// Packets that passed the filter, as the kernel counts them. Live only.
    pub received: Option<u64>,
    /// Packets that were dropped, over all interfaces.
    pub drops: Drops,
    /// When that was. Live only: packets that were not dropped may wait to be read, and be older.
    pub at: Option<Timestamp>,
}
