//! Deliberate mistakes, to show that the simulator finds them. They can be made in builds with debug assertions only,
//! on one thread at a time; a release build has none of this.
use std::{cell::Cell, fmt};

thread_local! {
    static CURRENT: Cell<Option<Defect>> = const { Cell::new(None) };
}

macro_rules! defects {
    ($($(#[doc = $doc:literal])+ $name:ident),* $(,)?) => {
        /// A mistake that somebody could make.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Defect {
            $($(#[doc = $doc])+ $name,)*
        }

        impl Defect {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];
        }

        impl fmt::Display for Defect {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$name => f.write_str(concat!($($doc),+).trim()),)*
                }
            }
        }
    };
}

defects! {
    /// events are published before they are in the ledger
    PublishedBeforeCommit,
    /// a batch is written whatever epoch and offset stand in the ledger
    EpochNotCompared,
    /// the ledger's offset moves in one transaction, its events follow in another
    OffsetWithoutEvents,
    /// the outcomes of rejected commands are not stored
    OutcomeNotStored,
    /// a view takes an event that it has already
    DuplicateNotDropped,
    /// a view takes an event although one before it is missing
    GapIgnored,
    /// a unique value is compared and not written
    ClaimNotWritten,
    /// a unique value is written and not compared
    ClaimNotCompared,
    /// a unique value that is given up stays taken
    ReleaseForgotten,
    /// what is known of streams outlives the ownership of their partition
    CacheKeptAfterFence,
    /// a new owner publishes nothing of what the former one did not come to
    RepublishFromWrongPlace,
    /// rows and checkpoint are two transactions
    CheckpointOutsideTransaction,
    /// rows that span streams are folded without a lock
    RowsFoldedWithoutLock,
    /// a reply is sent before the decision is in the ledger
    ReplyBeforeCommit,
    /// a position names the event before the one it is for
    PositionOffByOne,
    /// events count as published although their delivery failed
    FailedDeliveryIgnored,
    /// a reader is shown what there is, whatever it has seen before
    PositionIgnored,
    /// the end of the event topic is never compared with what was delivered
    LostEventsNotNoticed,
    /// rows of a view are kept although another process has written them
    RowsKeptAfterFence,
    /// a command that was decided before is decided again
    OutcomeNotCompared,
    /// commands on a topic that was recreated are taken for decided
    RecreatedLogNotNoticed,
    /// the log of changes does not name the rows that changed
    ChangeLeftOut,
    /// a question is answered before its batch is in the ledger
    FactBeforeCommit,
}

/// Whether the mistake is to be made here and now.
#[must_use]
pub fn is(defect: Defect) -> bool {
    cfg!(debug_assertions) && CURRENT.get() == Some(defect)
}

/// Makes a mistake on this thread until it is dropped.
#[derive(Debug)]
pub struct Made(());

impl Drop for Made {
    fn drop(&mut self) {
        CURRENT.set(None);
    }
}

/// From now on this thread makes this mistake, or none.
#[must_use]
pub fn make(defect: Option<Defect>) -> Made {
    CURRENT.set(defect);
    Made(())
}
