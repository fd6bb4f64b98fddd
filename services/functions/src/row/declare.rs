//! The macros that declare a view's row, and an enum that is a text column.

/// Declares a view: the struct of its row and its `impl` [`View`](crate::View). What is left to write is how it follows
/// events ([`Project`](crate::Project)).
///
/// Rows can be asked for by their key, and by the first column of each `index`; they come in the order of the key, and
/// in that of each index (`index city, since desc;`), forward and backward. Words are searched in the columns after
/// `search`. Each of these is work for whoever writes: a view has those that somebody asks by. Text of more than 2,000
/// bytes cannot be indexed, but searched.
///
/// The **first field is the key**; each field is a column of the same name ([`ColumnType`](crate::ColumnType)). The
/// struct gets `Clone`, `Debug`, `PartialEq` and serde in the columns' JSON form; a column that is missing is an error,
/// also when it may be null.
///
/// ```
/// use chrono::NaiveDate;
/// use functions::{Column, ColumnKind, Happened, Project, View};
/// use shared_events::customers::CustomerEvent;
///
/// functions::row! {
///     /// How busy a day was.
///     pub struct EventsPerDay in "events_per_day" {
///         /// The day.
///         pub day: NaiveDate,
///         /// How much happened.
///         pub events: i64,
///     }
///     revision 1;
///     spans streams; // only where a row is made of several streams
///     index events desc; // any number of them
///     // search title, summary;
///     follows CustomerEvent; // or several: `follows A, B;`
/// }
///
/// impl Project<CustomerEvent> for EventsPerDay {
///     fn key(_: &CustomerEvent, happened: &Happened) -> Option<NaiveDate> {
///         Some(happened.at.date_naive())
///     }
///
///     fn project(row: Option<Self>, _: &CustomerEvent, happened: &Happened) -> Option<Self> {
///         let events = row.map_or(0, |it| it.events) + 1;
///         Some(Self { day: happened.at.date_naive(), events })
///     }
/// }
///
/// assert_eq!((EventsPerDay::TABLE, EventsPerDay::KEY), ("events_per_day", "day"));
/// assert!(EventsPerDay::SPANS_STREAMS);
/// assert_eq!(
///     EventsPerDay::columns()[0],
///     Column { name: "day", kind: ColumnKind::Date, nullable: false, texts: None },
/// );
/// ```
#[macro_export]
macro_rules! row {
    (
        $(#[$about:meta])*
        $visible:vis struct $Row:ident in $table:literal {
            $(#[$about_key:meta])*
            $see_key:vis $key:ident : $Key:ty
            $(, $(#[$about_field:meta])* $see:vis $field:ident : $Type:ty)*
            $(,)?
        }
        revision $revision:literal;
        $(spans $streams:ident;)?
        $(index $($column:ident $($direction:ident)?),+;)*
        $(search $($searched:ident),+;)?
        follows $($Event:ty),+ $(,)?;
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, ::serde::Serialize, ::serde::Deserialize)]
        $visible struct $Row {
            $(#[$about_key])*
            #[serde(with = "::functions::row::serde_form")]
            $see_key $key: $Key,
            $(
                $(#[$about_field])*
                #[serde(with = "::functions::row::serde_form")]
                $see $field: $Type,
            )*
        }

        impl $crate::View for $Row {
            type Key = $Key;
            const TABLE: &'static str = $table;
            const KEY: &'static str = ::core::stringify!($key);
            const REVISION: u32 = $revision;
            $($crate::row! { @spans $streams })?

            fn columns() -> ::std::vec::Vec<$crate::Column> {
                ::std::vec![
                    $crate::Column::of::<$Key>(::core::stringify!($key)),
                    $($crate::Column::of::<$Type>(::core::stringify!($field)),)*
                ]
            }

            fn indexes() -> ::std::vec::Vec<$crate::Index> {
                // An index of what is no column does not compile.
                let _ = |row: &Self| { $($(let _ = &row.$column;)+)* };
                ::std::vec![$($crate::Index {
                    columns: ::std::vec![$((
                        ::core::stringify!($column),
                        $crate::row! { @direction $($direction)? },
                    )),+],
                }),*]
            }

            fn searched() -> ::std::vec::Vec<&'static str> {
                let _ = |row: &Self| { $($(let _ = &row.$searched;)+)? };
                ::std::vec![$($(::core::stringify!($searched)),+)?]
            }

            fn follows(list: &mut impl $crate::Follows<Self>) {
                list$(.events::<$Event>())+;
            }
        }
    };
    (@direction) => { $crate::Direction::Ascending };
    (@direction desc) => { $crate::Direction::Descending };
    (@spans streams) => {
        const SPANS_STREAMS: bool = true;
    };
}

/// Declares an enum that is a text column: each variant with its text, which is also its serde form and its `Display`.
///
/// ```
/// functions::text_enum! {
///     /// How far an order has come.
///     pub enum OrderStatus {
///         /// Nobody has paid yet.
///         Placed = "PLACED",
///         /// It can be packed.
///         Paid = "PAID",
///     }
/// }
///
/// assert_eq!(OrderStatus::Paid.as_str(), "PAID");
/// assert_eq!(OrderStatus::ALL, [OrderStatus::Placed, OrderStatus::Paid]);
/// ```
#[macro_export]
macro_rules! text_enum {
    (
        $(#[$about:meta])*
        $visible:vis enum $Enum:ident {
            $($(#[$about_variant:meta])* $Variant:ident = $text:literal),+ $(,)?
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ::serde::Serialize, ::serde::Deserialize)]
        $visible enum $Enum {
            $(
                $(#[$about_variant])*
                #[serde(rename = $text)]
                $Variant,
            )+
        }

        impl $Enum {
            /// Every value, in the order of declaration.
            $visible const ALL: &'static [Self] = &[$(Self::$Variant),+];

            /// The text in the column.
            #[must_use]
            $visible const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$Variant => $text,)+
                }
            }
        }

        impl ::core::fmt::Display for $Enum {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl $crate::ColumnType for $Enum {
            const KIND: $crate::ColumnKind = $crate::ColumnKind::Text;
            const TEXTS: ::core::option::Option<&'static $crate::Texts> =
                ::core::option::Option::Some(&$crate::Texts {
                    name: ::core::stringify!($Enum),
                    all: &[$($text),+],
                });
        }
    };
}
