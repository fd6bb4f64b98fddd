//! What a reader of the event topic gets in the end.
use super::ground::{CONTEXT, Ground};
use crate::proof::Published;
use anyhow::Context as _;
use shared_events::{frame::unframe, headers::EventHeaders};
use std::collections::BTreeMap;

/// Where the partitions of a topic end.
pub(crate) async fn ends(ground: &Ground, topic: &str) -> anyhow::Result<BTreeMap<i32, i64>> {
    let ends = ground.shell.kafka.ends(topic, ground.partitions()).await?;
    Ok(ends.into_iter().map(|(part, (_, high))| (part, high)).collect())
}

/// The events of the log, by partition, in its order.
pub(crate) async fn events(ground: &Ground) -> anyhow::Result<BTreeMap<i32, Vec<Published>>> {
    let topic = ground.names().events(CONTEXT);
    let mut log: BTreeMap<i32, Vec<Published>> = BTreeMap::new();
    for part in 0..ground.partitions() {
        let mut reader = ground.shell.kafka.read_partition(&topic, part)?;
        loop {
            let records = reader.read(1000).await?;
            if records.is_empty() {
                break;
            }
            for it in records {
                let place = || format!("{topic}/{part} at {}", it.offset);
                let headers = EventHeaders::read(&it.headers).with_context(place)?;
                let payload = it.payload.as_deref().unwrap_or_default();
                let (_, datum) = unframe(payload).with_context(place)?;
                let EventHeaders { pseq, stream, version, .. } = headers;
                let published = Published { pseq, stream, version, data: datum.to_vec() };
                log.entry(part).or_default().push(published);
            }
        }
    }
    Ok(log)
}
