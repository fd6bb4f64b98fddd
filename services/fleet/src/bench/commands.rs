//! Commands as the BFF writes them, appended to the command topic in bulk.
use super::stage::Fleet;
use anyhow::{Context as _, bail};
use shared_events::{
    Message as _,
    customers::{ChangeCustomerEmail, CustomerCommand, InviteCustomer},
    frame::frame,
    headers::{CommandHeaders, ReplyTo},
};
use shell::{
    ids,
    partition::partition_of,
    port::log::{Deliveries, Log as _, Outgoing, Producer as _, SendError},
};
use std::time::Duration;
use uuid::Uuid;

/// The address that customers are invited to: the peers take the same.
pub(super) fn email(id: Uuid) -> String {
    format!("customer-{}@example.com", id.simple())
}

/// So many invitations, each of another customer.
pub(super) fn invitations(count: usize) -> impl Iterator<Item = CustomerCommand> {
    std::iter::repeat_with(ids::new_id).map(invitation).take(count)
}

/// An invitation of this customer.
pub(super) fn invitation(customer_id: Uuid) -> CustomerCommand {
    InviteCustomer { customer_id, email: email(customer_id) }.into()
}

/// So many changes of the address of one customer, each to another address.
pub(super) fn changes(customer_id: Uuid, count: usize) -> impl Iterator<Item = CustomerCommand> {
    let change = move |id| ChangeCustomerEmail { customer_id, email: email(id) };
    std::iter::repeat_with(ids::new_id).map(change).map(CustomerCommand::from).take(count)
}

/// Appends commands, and waits until all of them are in the log.
pub(super) async fn append(
    fleet: &Fleet,
    commands: impl Iterator<Item = CustomerCommand>,
) -> anyhow::Result<()> {
    let shell = &fleet.shell;
    let topic = fleet.names().commands("customers");
    let producer = shell.kafka.producer()?;
    let receipt = Deliveries::receipt();
    // Somebody who listens to a partition of replies, but not here: answers are written all the same.
    let reply_to = ReplyTo { partition: 0, instance: ids::new_id().to_string() };
    for command in commands {
        let (record, stream, id) = (command.record(), command.stream(), ids::new_id());
        let family = CustomerCommand::family().topic;
        let schema =
            shell.codec.id(family, record.name(), record.fingerprint(), record.json()).await?;
        let mut datum = Vec::with_capacity(128);
        command.encode(&mut datum).context("encode a command")?;
        let headers = CommandHeaders {
            id,
            record: record.name().to_owned(),
            source: "flotilla/bench".to_owned(),
            time: shell.clock.now(),
            fingerprint: record.fingerprint(),
            correlation: id,
            causation: None,
            traceparent: None,
            actor: None,
            expected_version: None,
            reply_to: Some(reply_to.clone()),
        };
        let mut outgoing = Outgoing {
            topic: topic.clone(),
            part: partition_of(stream, shell.config.partitions),
            key: stream.to_string().into_bytes(),
            headers: headers.write(),
            payload: frame(schema, &datum),
        };
        receipt.sent();
        while let Err(error) = producer.send(outgoing, &receipt) {
            match error {
                SendError::Full(it) => outgoing = *it,
                SendError::Refused(why) => bail!("a command was not taken: {why}"),
            }
            shell.clock.sleep(Duration::from_millis(1)).await;
        }
    }
    while !receipt.is_done() {
        shell.clock.sleep(Duration::from_millis(1)).await;
    }
    anyhow::ensure!(!receipt.has_failed(), "a command is not in the log");
    Ok(())
}
