//! Amounts of money.

crate::part! {
    /// An amount of money, exact: whole minor units, never a fraction.
    Money of "fleet" {
        /// How many of the currency's smallest unit (cents, yen); negative where it is owed.
        amount_minor: i64,
        /// The currency in three upper-case letters, as ISO 4217 has it.
        currency: String,
    }
}
