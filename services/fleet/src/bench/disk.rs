//! How much room events take.
use super::{
    report::Entry,
    stage::{Fleet, Stage},
};
use crate::stack::query;
use anyhow::Context as _;
use std::{
    fs::{self, Metadata},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

/// Megabytes for a million events of what a fleet with so many has stored, index entries included.
pub(super) fn for_a_million(
    stage: &Stage,
    fleet: &Fleet,
    events: usize,
    entry: &mut Entry,
) -> anyhow::Result<()> {
    // One JSON array of what is stored, and its bytes.
    let sizes = "select json_agg(json_build_array(name, bytes)) from (
        select case n.nspname when 'write' then c.relname else 'view_' || c.relname end as name,
            sum(pg_total_relation_size(c.oid)) as bytes
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relkind = 'r' and (n.nspname = 'write' or n.nspname like 'view\\_%') group by 1) as t";
    let text = query(&stage.addresses().database_url, &fleet.database(), sizes)?;
    let sizes: Vec<(String, u64)> = serde_json::from_str(&text).context("the sizes of tables")?;
    for (name, bytes) in sizes {
        record(&format!("postgres_{name}"), bytes, events, entry);
    }
    let logs = stage.stack().data().join("kafka/data");
    for topic in [fleet.names().events("customers"), fleet.names().commands("customers")] {
        let bytes = of_topic(&logs, &topic).context("the sizes of topics")?;
        let name = topic.rsplit('.').next().unwrap_or_default();
        record(&format!("kafka_{name}"), bytes, events, entry);
    }
    Ok(())
}

/// What is too little to matter is left out.
fn record(name: &str, bytes: u64, events: usize, entry: &mut Entry) {
    #[expect(clippy::cast_precision_loss, reason = "sizes of disks fit")]
    let mb = bytes as f64 / 1_048_576.0 / (events as f64 / 1e6);
    if mb >= 1.0 {
        entry.other(&format!("{name}_mb_for_a_million"), mb);
    }
}

/// The bytes of all partitions of a topic, in this folder of Kafka's.
fn of_topic(logs: &Path, topic: &str) -> std::io::Result<u64> {
    let is_part = |it: &str| it.strip_prefix('-').is_some_and(|it| it.parse::<u32>().is_ok());
    let mut bytes = 0;
    for it in fs::read_dir(logs)? {
        let it = it?;
        if it.file_name().to_str().and_then(|it| it.strip_prefix(topic)).is_some_and(is_part) {
            for file in fs::read_dir(it.path())? {
                bytes += allocated(&file?.metadata()?);
            }
        }
    }
    Ok(bytes)
}

/// What a file takes on the disk: indexes are made large in advance, and are mostly holes.
fn allocated(file: &Metadata) -> u64 {
    file.blocks() * 512
}
