//! Types of fields, and what all records have in common.

/// Declares an enum of words that is a field's type: `Accepted = "ACCEPTED"`. A word may be added only once every
/// reader knows it, as with any enum of Avro.
#[macro_export]
macro_rules! words {
    (
        $(#[doc = $doc:literal])+
        $name:ident of $context:literal {
            $( $(#[doc = $word_doc:literal])+ $variant:ident = $word:literal ),+ $(,)?
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $( $(#[doc = $word_doc])+ $variant, )+
        }

        impl $crate::wire::Wire for $name {
            fn shape(defined: &mut $crate::avro::Defined) -> $crate::avro::Shape {
                defined.define(::core::concat!("flotilla.", $context), ::core::stringify!($name), |_| {
                    $crate::avro::Shape::Enum {
                        r#type: "enum",
                        name: ::core::stringify!($name),
                        namespace: ::core::concat!("flotilla.", $context),
                        // Avro has no docs on words, so they are told here.
                        doc: $crate::avro::doc(&[$($doc,)+ $(::core::concat!($word, ":"), $($word_doc),+),+]),
                        symbols: ::std::vec![$($word),+],
                    }
                })
            }

            fn write<S: $crate::__private::Serializer>(
                &self,
                serializer: S,
            ) -> ::core::result::Result<S::Ok, S::Error> {
                match self {
                    $(Self::$variant => serializer.serialize_unit_variant(
                        ::core::stringify!($name),
                        Self::$variant as u32,
                        $word,
                    ),)+
                }
            }

            fn read<'de, D: $crate::__private::Deserializer<'de>>(
                deserializer: D,
            ) -> ::core::result::Result<Self, D::Error> {
                let word = $crate::__private::read_word::<D>(&[$($word),+], deserializer)?;
                $(if word == $word { return Ok(Self::$variant); })+
                Err($crate::__private::unknown_word::<D::Error>(word))
            }
        }
    };
}

/// Declares a record that is a field's type, not a message.
#[macro_export]
macro_rules! part {
    (
        $(#[doc = $doc:literal])+
        $name:ident of $context:literal { $($fields:tt)* }
    ) => {
        $crate::__fields! { $context $(#[doc = $doc])+ $name { $($fields)* } }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __record {
    ($context:literal $(#[doc = $doc:literal])+ $record:ident { $($fields:tt)* }) => {
        $crate::__fields! { $context $(#[doc = $doc])+ $record { $($fields)* } }

        impl $record {
            /// The record's full name.
            pub const NAME: &'static str =
                ::core::concat!("flotilla.", $context, ".", ::core::stringify!($record));

            /// The record as this build writes it.
            #[must_use]
            pub fn schema() -> &'static $crate::RecordSchema {
                static SCHEMA: ::std::sync::LazyLock<$crate::RecordSchema> =
                    ::std::sync::LazyLock::new($crate::RecordSchema::of::<$record>);
                &SCHEMA
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __fields {
    (
        $context:literal
        $(#[doc = $doc:literal])+
        $record:ident {
            $( $(#[doc = $field_doc:literal])+ $field:ident : $type:ty $(= $default:expr)? ),+ $(,)?
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $record {
            $( $(#[doc = $field_doc])+ pub $field: $type, )+
        }

        impl $crate::wire::Wire for $record {
            fn shape(defined: &mut $crate::avro::Defined) -> $crate::avro::Shape {
                defined.define(::core::concat!("flotilla.", $context), ::core::stringify!($record), |defined| {
                    $crate::avro::Shape::Record {
                        r#type: "record",
                        name: ::core::stringify!($record),
                        namespace: ::core::concat!("flotilla.", $context),
                        doc: $crate::avro::doc(&[$($doc),+]),
                        fields: ::std::vec![$(
                            $crate::avro::Field {
                                name: ::core::stringify!($field),
                                doc: $crate::avro::doc(&[$($field_doc),+]),
                                r#type: <$type as $crate::wire::Wire>::shape(defined),
                                default: $crate::__private::default_json::<$type>(
                                    $crate::__default!($type $(, $default)?),
                                ),
                            },
                        )+],
                    }
                })
            }

            fn write<S: $crate::__private::Serializer>(
                &self,
                serializer: S,
            ) -> ::core::result::Result<S::Ok, S::Error> {
                use $crate::__private::SerializeStruct as _;
                let names = <Self as $crate::wire::Fields>::FIELDS;
                let mut record = serializer.serialize_struct(::core::stringify!($record), names.len())?;
                $(
                    record.serialize_field(
                        ::core::stringify!($field),
                        &$crate::wire::Writing(&self.$field),
                    )?;
                )+
                record.end()
            }

            fn read<'de, D: $crate::__private::Deserializer<'de>>(
                deserializer: D,
            ) -> ::core::result::Result<Self, D::Error> {
                $crate::wire::read_fields(deserializer)
            }
        }

        impl $crate::wire::Fields for $record {
            const NAME: &'static str = ::core::stringify!($record);
            const FIELDS: &'static [&'static str] = &[$(::core::stringify!($field)),+];

            fn collect<'de, A: $crate::__private::MapAccess<'de>>(
                mut fields: A,
            ) -> ::core::result::Result<Self, A::Error> {
                $(let mut $field: ::core::option::Option<$type> = ::core::option::Option::None;)+
                while let Some(name) = fields.next_key_seed($crate::wire::KnownName(Self::FIELDS))? {
                    match name {
                        $(Some(::core::stringify!($field)) => {
                            let $crate::wire::Reading(value) = fields.next_value()?;
                            $field = Some(value);
                        })+
                        _ => $crate::wire::skip(&mut fields)?,
                    }
                }
                Ok(Self {
                    $($field: match $field {
                        Some(value) => value,
                        None => $crate::__private::or_missing::<$type, A::Error>(
                            $crate::__default!($type $(, $default)?),
                            ::core::stringify!($field),
                        )?,
                    },)+
                })
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __default {
    ($type:ty) => {
        <$type as $crate::wire::Wire>::absent()
    };
    ($type:ty, $default:expr) => {
        ::core::option::Option::Some(<$type as ::core::convert::From<_>>::from($default))
    };
}
