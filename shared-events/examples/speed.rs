//! What a message costs: `cargo run --release -p shared-events --example speed`.
#![expect(clippy::print_stdout, reason = "this is what the program is for")]
#![expect(clippy::disallowed_methods, reason = "measures real time")]
use shared_events::{
    Message, WriterSchema,
    customers::{CustomerEmailChanged, CustomerEvent},
    fleet::{PositionEntry, Reply, Verdict},
};
use std::{hint::black_box, time::Instant};
use uuid::Uuid;

const ROUNDS: u32 = 300_000;

fn main() {
    measure(&CustomerEvent::from(CustomerEmailChanged {
        customer_id: Uuid::from_u128(7),
        email: "somebody.with.a.long.name@a.department.example.org".to_owned(),
        previous_email: "somebody.with.another.name@another.department.example.org".to_owned(),
    }));
    let entry = |partition| PositionEntry {
        context: "customers".to_owned(),
        incarnation: 1,
        partition,
        pseq: 1_234_567,
    };
    measure(&Reply {
        command_id: Uuid::from_u128(9),
        verdict: Verdict::Accepted,
        stream: Uuid::from_u128(7),
        version: 3,
        code: None,
        message: None,
        details: None,
        position: vec![entry(3), entry(7)],
    });
}

fn measure<M: Message>(message: &M) {
    let writer = WriterSchema::parse(message.record().json()).expect("the fleet's own schema");
    let mut datum = Vec::new();
    let encode = nanos(|| {
        datum.clear();
        message.encode(&mut datum).expect("a value that may travel");
    });
    let decode = nanos(|| {
        black_box(M::decode(&writer, black_box(&datum)).expect("our own bytes"));
    });
    println!(
        "{:42} {:4} bytes: encode {encode:5} ns, decode {decode:5} ns",
        message.record().name(),
        datum.len()
    );
}

/// The average of many.
fn nanos(mut once: impl FnMut()) -> u128 {
    let begin = Instant::now();
    for _ in 0..ROUNDS {
        once();
    }
    begin.elapsed().as_nanos() / u128::from(ROUNDS)
}
