//! Messages of the fleet itself: answers to commands, and requests to handlers.
use uuid::Uuid;

crate::words! {
    /// What became of a command.
    Verdict of "fleet" {
        /// It was decided, and what it made happen is durable.
        Accepted = "ACCEPTED",
        /// A rule refuses it; nothing happened.
        Rejected = "REJECTED",
    }
}

crate::part! {
    /// How far a reader must have come in one partition of a context's events.
    PositionEntry of "fleet" {
        /// The context.
        context: String,
        /// The life of the context's history that the number belongs to.
        incarnation: i64,
        /// The partition.
        partition: i32,
        /// The number of the event within the partition.
        pseq: i64,
    }
}

crate::message! {
    /// The answer to a command, sent once it is durable. It may be lost or come twice: the truth is what the
    /// handler has written down.
    reply Reply of "fleet" by command_id {
        /// The command.
        command_id: Uuid,
        /// What became of it.
        verdict: Verdict,
        /// The stream that the answer is about; not always the one that was asked.
        stream: Uuid,
        /// The stream's version after the command.
        version: i64,
        /// Why it was refused, for programs: upper case, stable for ever.
        code: Option<String>,
        /// Why it was refused, for people.
        message: Option<String>,
        /// What goes with the refusal, as JSON.
        details: Option<String>,
        /// What a view must have seen to show the command's effect.
        position: Vec<PositionEntry>,
    }
}

crate::message! {
    /// Asks the handler of a partition to publish its events again: a reader found a gap.
    control RepublishEvents of "fleet" {
        /// The context whose events are missing.
        context: String,
        /// The partition.
        partition: i32,
        /// The first number that is missing.
        from_pseq: i64,
    }
}
