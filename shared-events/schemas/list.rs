// Written by `UPDATE_SCHEMAS=1 cargo test -p shared-events`.
&[
    Committed {
        context: "customers",
        record: "AskCustomerState",
        version: 1,
        json: include_str!("customers/AskCustomerState/1.avsc"),
    },
    Committed {
        context: "customers",
        record: "ChangeCustomerEmail",
        version: 1,
        json: include_str!("customers/ChangeCustomerEmail/1.avsc"),
    },
    Committed {
        context: "customers",
        record: "CustomerEmailChanged",
        version: 1,
        json: include_str!("customers/CustomerEmailChanged/1.avsc"),
    },
    Committed {
        context: "customers",
        record: "CustomerInvited",
        version: 1,
        json: include_str!("customers/CustomerInvited/1.avsc"),
    },
    Committed {
        context: "customers",
        record: "CustomerRemoved",
        version: 1,
        json: include_str!("customers/CustomerRemoved/1.avsc"),
    },
    Committed {
        context: "customers",
        record: "CustomerState",
        version: 1,
        json: include_str!("customers/CustomerState/1.avsc"),
    },
    Committed {
        context: "customers",
        record: "CustomerVerified",
        version: 1,
        json: include_str!("customers/CustomerVerified/1.avsc"),
    },
    Committed {
        context: "customers",
        record: "InviteCustomer",
        version: 1,
        json: include_str!("customers/InviteCustomer/1.avsc"),
    },
    Committed {
        context: "customers",
        record: "RemoveCustomer",
        version: 1,
        json: include_str!("customers/RemoveCustomer/1.avsc"),
    },
    Committed {
        context: "customers",
        record: "VerifyCustomer",
        version: 1,
        json: include_str!("customers/VerifyCustomer/1.avsc"),
    },
    Committed {
        context: "fleet",
        record: "Reply",
        version: 1,
        json: include_str!("fleet/Reply/1.avsc"),
    },
    Committed {
        context: "fleet",
        record: "RepublishEvents",
        version: 1,
        json: include_str!("fleet/RepublishEvents/1.avsc"),
    },
]
