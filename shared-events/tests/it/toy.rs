//! A family of messages as it was, and as it is today.
#![expect(
    clippy::enum_variant_names,
    reason = "as in every family: events begin with their subject"
)]
use chrono::{DateTime, Utc};
use shared_events::Money;
use uuid::Uuid;

shared_events::words! {
    /// Where a toy was sold.
    Place of "toys" {
        /// Over the counter.
        Shop = "SHOP",
        /// By post.
        Post = "POST",
    }
}

/// The first release.
pub(crate) mod then {
    use super::{Money, Uuid};

    shared_events::messages! {
        /// What happened to toys.
        event ToyEvent of "toys" by toy_id {
            /// A toy got its name.
            ToyBaptized {
                /// The toy.
                toy_id: Uuid,
                /// Its name.
                name: String,
            }
            /// A toy was sold.
            ToySold {
                /// The toy.
                toy_id: Uuid,
                /// What was paid.
                price: Money,
            }
            /// A toy was painted and wrapped.
            ToyFinished {
                /// The toy.
                toy_id: Uuid,
                /// The colour.
                colour: String,
                /// The paper.
                paper: String,
            }
            /// Somebody looked at a toy.
            ToySeen {
                /// The toy.
                toy_id: Uuid,
            }
        }
    }
}

shared_events::messages! {
    /// What happened to toys.
    event ToyEvent of "toys" by toy_id {
        /// A toy got its name.
        ToyNamed {
            /// The toy.
            toy_id: Uuid,
            /// Its name.
            name: String,
        }
        /// A toy was sold.
        ToySold {
            /// The toy.
            toy_id: Uuid,
            /// What was paid.
            price: Money,
            /// Where. All were sold over the counter until there was a post.
            place: Place = Place::Shop,
            /// What was charged for sending it.
            postage: i64 = 0,
            /// What else was paid.
            tips: Vec<Money> = [],
            /// When, where that is known.
            sold_at: Option<DateTime<Utc>>,
        }
        /// A toy was painted.
        ToyPainted {
            /// The toy.
            toy_id: Uuid,
            /// The colour.
            colour: String,
        }
        /// A toy was wrapped.
        ToyWrapped {
            /// The toy.
            toy_id: Uuid,
            /// The paper.
            paper: String,
        }
    }
    retired {
        /// A toy got its name: renamed to `ToyNamed`.
        ToyBaptized {
            /// The toy.
            toy_id: Uuid,
            /// Its name.
            name: String,
        } => |old| vec![ToyNamed { toy_id: old.toy_id, name: old.name }.into()],
        /// A toy was painted and wrapped: split, as there came to be toys without paper.
        ToyFinished {
            /// The toy.
            toy_id: Uuid,
            /// The colour.
            colour: String,
            /// The paper.
            paper: String,
        } => |old| vec![
            ToyPainted { toy_id: old.toy_id, colour: old.colour }.into(),
            ToyWrapped { toy_id: old.toy_id, paper: old.paper }.into(),
        ],
        /// Somebody looked at a toy: nobody wants to know any more.
        ToySeen {
            /// The toy.
            toy_id: Uuid,
        } => |_| vec![],
    }
}
