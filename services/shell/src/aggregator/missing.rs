//! An event that does not come: read again, read on, and at last ask the handler (protocol.md V4).
use super::{
    arrange::Gap,
    shard::{Aggregator, Place, Trouble},
};
use crate::{
    ids,
    port::{
        log::{Consumer as _, Deliveries, Log, Producer as _},
        store::Store,
    },
    republish::Request,
};
use functions::View;
use std::{sync::Arc, time::Duration};

/// Until the handler is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(5);

impl<V: View, L: Log, S: Store> Aggregator<V, L, S> {
    /// Events are missing: back to where all was there; then on to the end; then ask the handler (V4).
    pub(super) async fn look_for_missing(&mut self) -> Result<(), Trouble> {
        let now = self.clock.elapsed();
        let gaps: Vec<Place> = self
            .parts
            .iter()
            .filter(|(_, it)| it.skipped.is_some() || it.gap != Gap::None)
            .map(|(it, _)| it.clone())
            .collect();
        for place in gaps {
            let topic = self.topic(&place.0);
            let (_, high) = self.consumer.ends(&topic, place.1).await?;
            let Some(part) = self.parts.get_mut(&place) else { continue };
            match part.gap {
                Gap::None => {
                    tracing::info!(
                        view = self.view.table,
                        part = place.1,
                        after = part.row.pseq,
                        "an event is missing: reading again"
                    );
                    self.consumer.seek(&topic, place.1, part.row.next_offset).await?;
                    part.went_back(Gap::Behind);
                    self.ahead.retain(|it| it.place != place);
                }
                // Nothing stands there any more where something did: then it is not behind either.
                Gap::Behind if part.skipped.is_none() && part.read < high => {}
                Gap::Behind => part.gap = Gap::Ahead { end: high },
                Gap::Ahead { end } if part.read < end => {}
                Gap::Asked { at } if now < at + ASK_AGAIN => {}
                Gap::Ahead { .. } | Gap::Asked { .. } => {
                    tracing::warn!(
                        view = self.view.table,
                        part = place.1,
                        from = part.row.pseq + 1,
                        "an event is nowhere in the log: asking the handler to publish again"
                    );
                    part.gap = Gap::Asked { at: now };
                    let (part, from_pseq) = (part.clone(), part.row.pseq + 1);
                    self.report_part(&part, None);
                    self.ask(&place, from_pseq).await;
                }
            }
        }
        Ok(())
    }

    async fn ask(&mut self, place: &Place, from_pseq: i64) {
        let Some(source) = self.sources.iter().find(|it| it.family.topic == place.0) else {
            return;
        };
        let context = source.family.context;
        let now = self.clock.elapsed();
        let asked = format!("{}/{}/{from_pseq}/{now:?}", self.view.table, place.1);
        let request = Request {
            id: ids::request_id(self.report.instance(), &asked),
            source: format!("flotilla/{}/{}", self.view.context, self.view.table),
            context,
            part: place.1,
            from_pseq,
        };
        let topic = Arc::from(self.topic(&format!("{context}.commands")));
        let record = request.record(&self.codec, self.clock.now(), topic).await;
        let Ok(record) = record else { return };
        if self.producer.is_none() {
            self.producer = self.log.producer().ok();
        }
        let Some(producer) = &self.producer else { return };
        let receipt = Deliveries::receipt();
        receipt.sent();
        if let Err(error) = producer.send(record, &receipt) {
            tracing::warn!(%error, "could not ask the handler; asking again soon");
        }
    }
}
