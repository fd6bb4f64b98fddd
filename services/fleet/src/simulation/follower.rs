//! Somebody who keeps a copy of all customers by following what changes, from one BFF after another: in the end it is the
//! view (protocol.md V7).
use super::{clients::Seen, cluster::Cluster, random::Random, scheduler::Life};
use crate::proof::Anomaly;
use customers::views::Customer;
use functions::View as _;
use futures::{
    StreamExt,
    future::{Either, select},
};
use shell::{
    Client,
    client::{Followed, Place, Update},
    position::Position,
    reads::{Filter, Query, ReadError},
};
use std::{cell::RefCell, collections::BTreeMap, rc::Rc, time::Duration};
use tokio::sync::oneshot;
use uuid::Uuid;

/// What a follower would show.
pub(super) type Copy = BTreeMap<Uuid, Customer>;

pub(super) struct Follower {
    cluster: Rc<Cluster>,
    random: Random,
    seen: Rc<RefCell<Seen>>,
    /// Where to go on; `None`: it has to read everything.
    place: Option<Place>,
    position: Position,
}

impl Follower {
    pub(super) fn new(random: Random, cluster: &Rc<Cluster>, seen: &Rc<RefCell<Seen>>) -> Self {
        Self {
            cluster: Rc::clone(cluster),
            random,
            seen: Rc::clone(seen),
            place: None,
            position: Position::new(),
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            match self.place.clone() {
                None => self.read().await,
                Some(place) => self.follow(place).await,
            }
            let pause = self.random.up_to(PAUSE);
            self.cluster.kernel.sleep(pause).await;
        }
    }

    async fn read(&mut self) {
        let seen = self.position.clone();
        let ask =
            async move |bff: Client| bff.read::<Customer>(Query::default(), &seen, WAIT).await;
        let Some(Ok(all)) = self.ask(ask).await else { return };
        self.position.merge(&all.position);
        self.place = all.position.to_string().parse().ok();
        self.seen.borrow_mut().copy = all.rows.into_iter().map(|it| (it.id, it)).collect();
    }

    /// Until the connection breaks, as it seems to sooner or later.
    async fn follow(&mut self, place: Place) {
        let seen = self.position.clone();
        let followed = Followed::Rows { filter: Filter::default(), after: Some(place) };
        let ask = async move |bff: Client| {
            let updates = bff.follow::<Customer>(followed, ROWS_MAX, &seen, WAIT).await;
            updates.map(StreamExt::boxed_local)
        };
        let mut updates = match self.ask(ask).await {
            Some(Ok(updates)) => updates,
            Some(Err(ReadError::Failed(why))) => {
                return self.anomaly("a position that was given out is honoured", why);
            }
            Some(Err(_)) | None => return,
        };
        let breaks = self.cluster.kernel.now() + self.random.up_to(FOLLOWED);
        loop {
            let left = breaks.saturating_sub(self.cluster.kernel.now());
            let broken = self.cluster.kernel.sleep(left);
            match select(updates.next(), broken).await {
                Either::Left((Some(Ok(update)), _)) => self.take(update),
                Either::Left((Some(Err(lost)), _)) => {
                    self.cluster.gremlin.note(0, || format!("the follower: {lost}"));
                    self.place = None;
                    return;
                }
                Either::Left((None, _)) | Either::Right(_) => return,
            }
        }
    }

    fn take(&mut self, update: Update<Customer>) {
        self.position.merge(&update.seen);
        self.place = update.after.parse().ok();
        let mut seen = self.seen.borrow_mut();
        let (key, row) = (update.key, update.row);
        let version = row.as_ref().map(|it| it.version);
        let before = match row {
            Some(row) => seen.copy.insert(key, row),
            None => seen.copy.remove(&key),
        };
        if let Some(before) = before
            && version.is_none_or(|it| it < before.version)
        {
            drop(seen);
            let told = format!("customer {}: {version:?} after {}", key.as_u128(), before.version);
            self.anomaly("a follower does not see a customer go back", told);
        }
    }

    async fn ask<T: 'static>(&mut self, act: impl AsyncFnOnce(Client) -> T + 'static) -> Option<T> {
        let (who, bff) = self.cluster.bff(&mut self.random)?;
        if self.cluster.kernel.life(who) == Life::Dead {
            return None;
        }
        let (answer, answered) = oneshot::channel();
        self.cluster.spawner.spawn(who, async move { drop(answer.send(act(bff).await)) });
        match select(answered, self.cluster.kernel.sleep(2 * WAIT)).await {
            Either::Left((answer, _)) => answer.ok(),
            Either::Right(((), _)) => None,
        }
    }

    fn anomaly(&self, promise: &'static str, seen: String) {
        self.seen.borrow_mut().anomalies.push(Anomaly { promise, seen });
    }
}

/// What the copy has otherwise than the view.
pub(super) fn difference(cluster: &Cluster, copy: &Copy) -> Option<String> {
    let rows = cluster.fleet.store.rows(super::disturbance::CONTEXT, Customer::TABLE);
    let rows = rows.into_iter().filter_map(|it| serde_json::from_value::<Customer>(it).ok());
    let rows: Copy = rows.map(|it| (it.id, it)).collect();
    let ids = copy.keys().chain(rows.keys());
    let differs = |id: &&Uuid| copy.get(*id) != rows.get(*id);
    let id = ids.into_iter().find(differs)?;
    Some(format!("customer {}: {:?} is {:?}", id.as_u128(), rows.get(id), copy.get(id)))
}

const WAIT: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(200);
const FOLLOWED: Duration = Duration::from_secs(6);
const ROWS_MAX: usize = 1_000;
