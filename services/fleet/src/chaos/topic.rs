//! What a reader of the event topic gets in the end.
use super::{PARTITIONS, stage::Stage};
use crate::proof::Published;
use anyhow::{Context as _, ensure};
use shared_events::{frame::unframe, headers::EventHeaders};
use shell::{
    ids,
    port::log::{Consumer as _, Log as _, Record},
};
use std::{collections::BTreeMap, time::Duration};

/// A partition may be handed over late; records that are there come at once.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where the partitions of a topic end.
pub(super) async fn ends(stage: &Stage, topic: &str) -> anyhow::Result<BTreeMap<i32, i64>> {
    let group = format!("chaos.ends.{}", ids::new_id());
    let mut consumer = stage.shell.kafka.consumer(&group, &[topic.to_owned()])?;
    let mut ends = BTreeMap::new();
    for part in 0..PARTITIONS {
        let (_, end) = consumer.ends(topic, part).await?;
        ends.insert(part, end);
    }
    Ok(ends)
}

/// The events of the log, by partition, in its order.
pub(super) async fn events(stage: &Stage) -> anyhow::Result<BTreeMap<i32, Vec<Published>>> {
    let topic = stage.names().events("customers");
    let ends = ends(stage, &topic).await?;
    let wanted: i64 = ends.values().sum();
    let group = format!("chaos.audit.{}", ids::new_id());
    let mut consumer = stage.shell.kafka.consumer(&group, &[topic.to_string()])?;
    let mut records: Vec<Record> = Vec::new();
    while i64::try_from(records.len())? < wanted {
        let polled = consumer.poll(1000, PATIENCE).await?;
        let moved = !consumer.moves().is_empty();
        ensure!(
            moved || !polled.is_empty(),
            "{topic} ends after {wanted} records, and {} came",
            records.len()
        );
        records.extend(polled);
    }
    records.sort_by_key(|it| (it.part, it.offset));
    let mut log: BTreeMap<i32, Vec<Published>> = BTreeMap::new();
    for it in records {
        let place = || format!("{topic}/{} at {}", it.part, it.offset);
        let headers = EventHeaders::read(&it.headers).with_context(place)?;
        let (_, datum) = unframe(it.payload.as_deref().unwrap_or_default()).with_context(place)?;
        let EventHeaders { pseq, stream, version, .. } = headers;
        let published = Published { pseq, stream, version, data: datum.to_vec() };
        log.entry(it.part).or_default().push(published);
    }
    Ok(log)
}
