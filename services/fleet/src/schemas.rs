//! The schemas of all messages, as the registry has to know them.
use crate::services::CONTEXTS;
use shared_events::{Family, Kind, RecordSchema, families};
use shell::{
    codec::{Registry as _, RegistryError, subject},
    registry::HttpRegistry,
};

/// Every record that is written today, with each topic that carries it.
pub fn written() -> impl Iterator<Item = (String, &'static Family, &'static RecordSchema)> {
    families().into_iter().flat_map(|family| {
        let topics = match family.kind {
            // Control records travel on every command topic.
            Kind::Control => CONTEXTS.iter().map(|it| format!("{it}.commands")).collect(),
            Kind::Command | Kind::Question | Kind::Event | Kind::Reply | Kind::Answer => {
                vec![family.topic.to_owned()]
            }
        };
        topics.into_iter().flat_map(move |topic| {
            family.records().map(move |record| (subject(&topic, record.name()), family, record))
        })
    })
}

/// Registers what is missing, under the rule that its kind asks for. Returns subject and id of each.
///
/// # Errors
/// If the registry is away, or refuses a schema as incompatible with what is there.
pub async fn register(registry: &HttpRegistry) -> Result<Vec<(String, u32)>, RegistryError> {
    let one = |(subject, family, record)| register_one(registry, subject, family, record);
    futures::future::try_join_all(written().map(one)).await
}

/// Whether all of them are there; the first that is not is the error.
///
/// # Errors
/// If one is missing, or the registry is away.
pub async fn are_registered(registry: &HttpRegistry) -> anyhow::Result<()> {
    for (subject, _, record) in written() {
        let is_there = registry.has(&subject, record.json()).await?;
        anyhow::ensure!(is_there, "the schema registry has not this build's schema of {subject}");
    }
    Ok(())
}

async fn register_one(
    registry: &HttpRegistry,
    subject: String,
    family: &Family,
    record: &RecordSchema,
) -> Result<(String, u32), RegistryError> {
    registry.set_compatibility(&subject, family.kind).await?;
    let id = registry.register(&subject, record.json()).await?;
    Ok((subject, id))
}
