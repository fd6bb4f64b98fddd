//! Looking up customers by their ids.
use crate::{errors::Failure, scalars::Uuid, session::Session};
use async_graphql::dataloader::{DataLoader, Loader};
use customers::views;
use shell::client::{Client, Query};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::task::JoinSet;

/// Looks up the customers that one request asks for at the same moment, all at once.
///
/// It reads what is as new as its reader is by then, which is at least as new as when each was asked for.
pub(crate) struct Rows {
    client: Client,
    session: Arc<Session>,
    patience: Duration,
}

impl Rows {
    /// The look-up of one request. It ends with the request: a client that vanishes leaves nothing behind.
    pub(crate) fn loader(
        client: Client,
        session: Arc<Session>,
        patience: Duration,
    ) -> DataLoader<Self> {
        let tasks = Mutex::new(JoinSet::new());
        let spawn = move |task| {
            let mut tasks = tasks.lock().unwrap_or_else(PoisonError::into_inner);
            while tasks.try_join_next().is_some() {}
            tasks.spawn(task);
        };
        DataLoader::new(Self { client, session, patience }, spawn).delay(Duration::ZERO)
    }
}

impl Loader<Uuid> for Rows {
    type Value = views::Customer;
    type Error = Failure;

    async fn load(&self, ids: &[Uuid]) -> Result<HashMap<Uuid, views::Customer>, Failure> {
        let query = Query::keys::<views::Customer>(ids.iter().map(|it| it.0));
        let rows = self
            .client
            .read(query, &self.session.seen(), self.session.patience(self.patience))
            .await?;
        self.session.saw(&rows.position);
        Ok(rows.rows.into_iter().map(|it: views::Customer| (Uuid(it.id), it)).collect())
    }
}
