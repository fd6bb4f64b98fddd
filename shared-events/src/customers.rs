//! Customers: people who are invited by e-mail.
use uuid::Uuid;

crate::messages! {
    /// What may be asked of customers.
    command CustomerCommand of "customers" by customer_id {
        /// Invites somebody by e-mail to become a customer.
        InviteCustomer {
            /// The id that the new customer will have.
            customer_id: Uuid,
            /// The e-mail address, as typed.
            email: String,
        }
        /// The customer has shown that the e-mail address is theirs.
        VerifyCustomer {
            /// The customer.
            customer_id: Uuid,
        }
        /// The customer is to be reached at another e-mail address.
        ChangeCustomerEmail {
            /// The customer.
            customer_id: Uuid,
            /// The new e-mail address, as typed.
            email: String,
        }
        /// The customer leaves; the e-mail address becomes free.
        RemoveCustomer {
            /// The customer.
            customer_id: Uuid,
        }
    }
}

crate::messages! {
    /// What happened to customers.
    event CustomerEvent of "customers" by customer_id {
        /// Somebody was invited to become a customer.
        CustomerInvited {
            /// The new customer.
            customer_id: Uuid,
            /// The e-mail address, as typed.
            email: String,
        }
        /// The customer's e-mail address proved to be theirs.
        CustomerVerified {
            /// The customer.
            customer_id: Uuid,
        }
        /// The customer has another e-mail address, which is not verified yet.
        CustomerEmailChanged {
            /// The customer.
            customer_id: Uuid,
            /// The new e-mail address, as typed.
            email: String,
            /// The e-mail address until now, as it was typed; it is free again.
            previous_email: String,
        }
        /// The customer left.
        CustomerRemoved {
            /// The customer.
            customer_id: Uuid,
            /// The e-mail address until now, as it was typed; it is free again.
            email: String,
        }
    }
}

crate::words! {
    /// How far a customer has come.
    CustomerStatus of "customers" {
        /// The e-mail address may still be anybody's.
        Invited = "INVITED",
        /// The e-mail address proved to be theirs.
        Verified = "VERIFIED",
        /// They left, and the e-mail address is free.
        Removed = "REMOVED",
    }
}

crate::message! {
    /// Asks what a customer is, after every command that was sent before.
    question AskCustomerState of "customers" by customer_id {
        /// The customer.
        customer_id: Uuid,
    }
}

crate::message! {
    /// What a customer is.
    answer CustomerState of "customers" by customer_id {
        /// The customer.
        customer_id: Uuid,
        /// How far the customer has come.
        status: CustomerStatus,
        /// The e-mail address, as typed; of a removed customer none.
        email: Option<String>,
        /// How many events made it what it is.
        version: i64,
    }
}
