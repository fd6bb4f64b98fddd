//! Where a trial takes place: a fleet, and the ways to ask and to look into it.
use super::{dice::Dice, member::options_for};
use crate::{
    stack::{Addresses, query},
    up,
};
use clap::Parser as _;
use customers::Customers;
use shell::{Shell, names::Names, view::views_of};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

/// The context whose promises are looked at.
pub(crate) const CONTEXT: &str = "customers";

/// A fleet, reached past its services.
#[derive(Clone)]
pub(crate) struct Ground {
    /// Something in this process that talks to the servers directly.
    pub(crate) shell: Shell,
    /// Where clients find GraphQL.
    pub(crate) bffs: Bffs,
}

impl Ground {
    pub(crate) fn names(&self) -> Names {
        self.shell.names()
    }

    /// Of every topic.
    pub(crate) fn partitions(&self) -> i32 {
        self.shell.config.partitions
    }

    /// The versions of this build's views, as SQL lists them.
    pub(crate) fn versions() -> String {
        let views = views_of::<Customers>();
        let views: Vec<String> =
            views.iter().map(|it| format!("('{}', '{}')", it.table, it.hash)).collect();
        views.join(", ")
    }

    /// Asks the database of the customers.
    pub(crate) async fn query(&self, statement: &str) -> anyhow::Result<String> {
        let url = self.shell.config.database_url.secret().to_owned();
        let database = self.names().database(CONTEXT);
        let statement = statement.to_owned();
        Ok(spawn_blocking(move || query(&url, &database, &statement)).await??)
    }
}

/// Makes databases, schemas and topics on servers that were just started; what talks to them.
pub(crate) async fn prepare(addresses: &Addresses, partitions: i32) -> anyhow::Result<Shell> {
    let options = options_for(addresses, partitions);
    let program = std::iter::once("flotilla".to_owned());
    let settings = up::Settings::try_parse_from(program.chain(options))?;
    up::migrate(&settings.shell).await?;
    let shell = Shell::new(settings.shell, CancellationToken::new())?;
    shell.kafka.ensure_topics(&shell.config, &[CONTEXT]).await?;
    Ok(shell)
}

/// The BFFs that serve at the moment, as `http://127.0.0.1:8080`; never none. Whoever adds or removes one tells all
/// clients, as a load balancer would.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bffs(Arc<RwLock<Vec<String>>>);

impl Bffs {
    pub(crate) fn new(all: Vec<String>) -> Self {
        Self(Arc::new(RwLock::new(all)))
    }

    pub(crate) fn set(&self, all: Vec<String>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = all;
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn one(&self, dice: &mut Dice) -> String {
        dice.one(&self.all()).clone()
    }
}
