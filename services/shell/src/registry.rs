//! The schema registry over HTTP (Confluent's API). Nothing outside this module names its client.
use crate::codec::{Registry, RegistryError};
use futures::future::BoxFuture;
use schema_registry_converter::{
    async_impl::schema_registry::{SrSettings, get_schema_by_id, post_schema},
    error::SRCError,
    schema_registry_common::{SchemaType, SuppliedSchema},
};
use shared_events::Kind;
use std::time::Duration;

/// A schema registry. Cheap to clone.
#[derive(Clone)]
pub struct HttpRegistry {
    settings: SrSettings,
    http: reqwest::Client,
    url: String,
}

impl HttpRegistry {
    /// The registry at this address.
    ///
    /// # Errors
    /// If no HTTP client can be made.
    pub fn new(url: &str) -> Result<Self, RegistryError> {
        let away = |error: String| RegistryError::Away(error);
        let settings = SrSettings::new_builder(url.to_owned())
            .set_timeout(TIMEOUT)
            .build()
            .map_err(|error| away(error.to_string()))?;
        let http = reqwest::Client::builder().timeout(TIMEOUT).build();
        Ok(Self {
            settings,
            http: http.map_err(|error| away(error.to_string()))?,
            url: url.to_owned(),
        })
    }

    /// Sets the rule by which the registry accepts the next version of a subject: events can be read by every
    /// reader there ever was or will be, commands by newer ones.
    ///
    /// # Errors
    /// If the registry is away, or refuses.
    pub async fn set_compatibility(&self, subject: &str, kind: Kind) -> Result<(), RegistryError> {
        let level = kind.rule().to_string();
        let url = format!("{}/config/{subject}", self.url);
        let body = serde_json::json!({ "compatibility": level });
        let mut attempts = 0;
        loop {
            attempts += 1;
            let answer = self.http.put(&url).json(&body).send().await;
            let answer = answer.map_err(|error| RegistryError::Away(error.to_string()))?;
            if answer.status().is_success() {
                return Ok(());
            }
            // Another process is setting the same rule at the same time.
            if answer.status() == reqwest::StatusCode::CONFLICT && attempts < CONFLICTS_MAX {
                continue;
            }
            let reason = format!("HTTP {}", answer.status());
            return Err(RegistryError::Refused { subject: subject.to_owned(), reason });
        }
    }

    /// Whether the subject has this schema, which is not made.
    ///
    /// # Errors
    /// If the registry does not answer, or does not know what is asked.
    pub async fn has(&self, subject: &str, schema: &str) -> Result<bool, RegistryError> {
        let body = serde_json::json!({ "schema": schema, "schemaType": "AVRO" });
        let answer = self.http.post(format!("{}/subjects/{subject}", self.url)).json(&body).send();
        let answer = answer.await.map_err(|error| RegistryError::Away(error.to_string()))?;
        match answer.status() {
            it if it.is_success() => Ok(true),
            reqwest::StatusCode::NOT_FOUND => Ok(false),
            it if it.is_client_error() => Err(RegistryError::Refused {
                subject: subject.to_owned(),
                reason: format!("HTTP {it}"),
            }),
            it => Err(RegistryError::Away(format!("HTTP {it}"))),
        }
    }

    /// Whether the registry answers.
    ///
    /// # Errors
    /// If it does not.
    pub async fn probe(&self) -> Result<(), RegistryError> {
        let answer = self.http.get(format!("{}/subjects", self.url)).send().await;
        answer
            .and_then(reqwest::Response::error_for_status)
            .map(drop)
            .map_err(|error| RegistryError::Away(error.to_string()))
    }
}

impl Registry for HttpRegistry {
    fn register<'a>(
        &'a self,
        subject: &'a str,
        schema: &'a str,
    ) -> BoxFuture<'a, Result<u32, RegistryError>> {
        Box::pin(async move {
            let mut attempts = 0;
            loop {
                attempts += 1;
                let supplied = SuppliedSchema::new(None, SchemaType::Avro, schema.to_owned());
                let error = match post_schema(&self.settings, subject.to_owned(), supplied).await {
                    Ok(it) => return Ok(it.id),
                    Err(error) => error,
                };
                let (subject, reason) = (subject.to_owned(), reason(&error));
                match status(&error) {
                    // Another process is making the same subject at the same time. A schema that does not fit is a
                    // conflict as well, and stays one.
                    Some(409) if reason.contains("already exists") && attempts < CONFLICTS_MAX => {}
                    Some(status) if (400..500).contains(&status) => {
                        return Err(RegistryError::Refused { subject, reason });
                    }
                    _ => return Err(RegistryError::Away(reason)),
                }
            }
        })
    }

    fn schema(&self, id: u32) -> BoxFuture<'_, Result<Option<String>, RegistryError>> {
        Box::pin(async move {
            match get_schema_by_id(id, &self.settings).await {
                Ok(it) => Ok(Some(it.schema)),
                Err(error) if status(&error) == Some(404) => Ok(None),
                Err(error) => Err(RegistryError::Away(reason(&error))),
            }
        })
    }
}

/// The client tells the status in words only.
fn status(error: &SRCError) -> Option<u16> {
    let (_, rest) = error.error.split_once("failed with status ")?;
    rest.split_whitespace().next()?.parse().ok()
}

fn reason(error: &SRCError) -> String {
    let cause = error.cause.as_deref().unwrap_or_default();
    format!("{} {cause}", error.error).trim_end().to_owned()
}

const TIMEOUT: Duration = Duration::from_secs(5);
const CONFLICTS_MAX: u32 = 10;
