//! The macros that turn a declaration into Rust types, Avro schemas, and the code between.
mod types;

/// Declares a family of messages: an enum, and a struct for each record.
///
/// Every record and field must have a doc comment: it is in the schema, for readers in every language. A field is
/// of a type that is [`Wire`](crate::wire::Wire); `= value` says what a reader takes where an older writer did not
/// have the field (an `Option` is `None` without saying).
///
/// Records that are no longer written stay in `retired`, each with what it means today:
/// ```
/// use uuid::Uuid;
/// shared_events::messages! {
///     /// What happened to parcels.
///     event ParcelEvent of "parcels" by parcel_id {
///         /// A parcel was sent.
///         ParcelSent {
///             /// The parcel.
///             parcel_id: Uuid,
///             /// In grams.
///             weight: i64 = 0,
///         }
///     }
///     retired {
///         /// Until parcels could be sent from abroad.
///         ParcelPosted {
///             /// The parcel.
///             parcel_id: Uuid,
///         } => |old: ParcelPosted| vec![ParcelSent { parcel_id: old.parcel_id, weight: 0 }.into()],
///     }
/// }
/// ```
#[macro_export]
macro_rules! messages {
    (
        $(#[doc = $doc:literal])+
        $kind:ident $family:ident of $context:literal by $key:ident {
            $(
                $(#[doc = $record_doc:literal])+
                $record:ident { $($fields:tt)* }
            )+
        }
        $(retired {
            $(
                $(#[doc = $old_doc:literal])+
                $old:ident { $($old_fields:tt)* } => $upcast:expr
            ),+ $(,)?
        })?
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum $family {
            $(
                $(#[doc = $record_doc])+
                $record($record),
            )+
        }

        $(
            $crate::__record! {
                $context $(#[doc = $record_doc])+ $record { $($fields)* }
            }

            impl ::core::convert::From<$record> for $family {
                fn from(record: $record) -> Self {
                    Self::$record(record)
                }
            }
        )+

        $($(
            $crate::__record! {
                $context $(#[doc = $old_doc])+ $old { $($old_fields)* }
            }
        )+)?

        impl $crate::Message for $family {
            fn family() -> &'static $crate::Family {
                static FAMILY: $crate::Family = $crate::Family {
                    context: $context,
                    kind: $crate::__kind!($kind),
                    topic: $crate::__topic!($kind $context),
                    doc: ::core::concat!($($doc,)+).trim_ascii(),
                    written: &[$($record::schema),+],
                    read: &[$($($old::schema),+)?],
                };
                &FAMILY
            }

            fn stream(&self) -> $crate::Uuid {
                match self {
                    $(Self::$record(record) => record.$key,)+
                }
            }

            fn record(&self) -> &'static $crate::RecordSchema {
                match self {
                    $(Self::$record(_) => $record::schema(),)+
                }
            }

            fn encode(&self, into: &mut ::std::vec::Vec<u8>) -> ::core::result::Result<(), $crate::EncodeError> {
                match self {
                    $(Self::$record(record) => {
                        $crate::__private::encode_record($record::schema(), record, into)
                    })+
                }
            }

            fn decode(
                writer: &$crate::WriterSchema,
                datum: &[u8],
            ) -> ::core::result::Result<$crate::Decoded<Self>, $crate::DecodeError> {
                $(
                    if writer.name() == $record::NAME {
                        let record: $record = $crate::__private::decode_record(writer, datum)?;
                        return Ok($crate::Decoded::Messages(::std::vec![Self::$record(record)]));
                    }
                )+
                $($(
                    if writer.name() == $old::NAME {
                        let upcast: fn($old) -> ::std::vec::Vec<Self> = $upcast;
                        let old = $crate::__private::decode_record(writer, datum)?;
                        return Ok($crate::Decoded::Messages(upcast(old)));
                    }
                )+)?
                Ok($crate::Decoded::FromTheFuture)
            }

            fn json(&self) -> $crate::__private::Value {
                match self {
                    $(Self::$record(record) => $crate::__private::json(record),)+
                }
            }

            fn from_json(
                record: &str,
                json: &$crate::__private::Value,
            ) -> ::core::result::Result<Self, $crate::JsonError> {
                $(
                    if record == $record::NAME {
                        return $crate::__private::from_json(record, json).map(Self::$record);
                    }
                )+
                Err(Self::family().unknown(record))
            }
        }
    };
}

/// Declares a family of one record, which is then the message itself.
#[macro_export]
macro_rules! message {
    (
        $(#[doc = $doc:literal])+
        $kind:ident $record:ident of $context:literal $(by $key:ident)? { $($fields:tt)* }
    ) => {
        $crate::__record! {
            $context $(#[doc = $doc])+ $record { $($fields)* }
        }

        impl $crate::Message for $record {
            fn family() -> &'static $crate::Family {
                static FAMILY: $crate::Family = $crate::Family {
                    context: $context,
                    kind: $crate::__kind!($kind),
                    topic: $crate::__topic!($kind $context),
                    doc: ::core::concat!($($doc,)+).trim_ascii(),
                    written: &[$record::schema],
                    read: &[],
                };
                &FAMILY
            }

            fn stream(&self) -> $crate::Uuid {
                $crate::__stream!(self $(Self { $key, .. })?)
            }

            fn record(&self) -> &'static $crate::RecordSchema {
                $record::schema()
            }

            fn encode(&self, into: &mut ::std::vec::Vec<u8>) -> ::core::result::Result<(), $crate::EncodeError> {
                $crate::__private::encode_record($record::schema(), self, into)
            }

            fn decode(
                writer: &$crate::WriterSchema,
                datum: &[u8],
            ) -> ::core::result::Result<$crate::Decoded<Self>, $crate::DecodeError> {
                if writer.name() == $record::NAME {
                    let record = $crate::__private::decode_record(writer, datum)?;
                    return Ok($crate::Decoded::Messages(::std::vec![record]));
                }
                Ok($crate::Decoded::FromTheFuture)
            }

            fn json(&self) -> $crate::__private::Value {
                $crate::__private::json(self)
            }

            fn from_json(
                record: &str,
                json: &$crate::__private::Value,
            ) -> ::core::result::Result<Self, $crate::JsonError> {
                if record == $record::NAME {
                    return $crate::__private::from_json(record, json);
                }
                Err(<Self as $crate::Message>::family().unknown(record))
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __kind {
    (command) => {
        $crate::Kind::Command
    };
    (event) => {
        $crate::Kind::Event
    };
    (reply) => {
        $crate::Kind::Reply
    };
    (control) => {
        $crate::Kind::Control
    };
    (question) => {
        $crate::Kind::Question
    };
    (answer) => {
        $crate::Kind::Answer
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __topic {
    (command $context:literal) => {
        ::core::concat!($context, ".commands")
    };
    (event $context:literal) => {
        ::core::concat!($context, ".events")
    };
    (reply $context:literal) => {
        "replies"
    };
    (control $context:literal) => {
        "*.commands"
    };
    (question $context:literal) => {
        ::core::concat!($context, ".commands")
    };
    (answer $context:literal) => {
        "replies"
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __stream {
    ($record:ident) => {
        $crate::Uuid::nil()
    };
    ($record:ident $type:ident { $key:ident, .. }) => {{
        let $type { $key, .. } = $record;
        *$key
    }};
}
