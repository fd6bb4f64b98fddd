//! A fold gives another result only under another revision.
use crate::parcels::{A, NONE, Number, OnItsWay, Parcel, ParcelDelivered, ParcelEvent, ParcelSent};
use functions::spec::history::{Committed, Fold, History};
use serde_json::{Value, json};
use shared_events::wire::Reading;

fn committed() -> Committed {
    serde_json::from_value(json!({
        "about": "A parcel is sent twice.",
        "events": [
            { "at": "2026-11-20T10:00:00Z", "record": "ParcelSent", "body": { "parcel_id": A, "number": "7" } },
            { "at": "2026-11-20T11:00:00Z", "record": "ParcelSent", "body": { "parcel_id": A, "number": "8" } },
        ],
        "folds": {},
    }))
    .expect("a history")
}

fn read(record: &str, body: Value) -> Result<ParcelEvent, String> {
    fn of<T: shared_events::wire::Wire + Into<ParcelEvent>>(
        body: Value,
    ) -> Result<ParcelEvent, String> {
        serde_json::from_value::<Reading<T>>(body)
            .map(|it| it.0.into())
            .map_err(|it| it.to_string())
    }
    match record {
        "ParcelSent" => of::<ParcelSent>(body),
        "ParcelDelivered" => of::<ParcelDelivered>(body),
        other => Err(format!("there is no event {other:?}")),
    }
}

fn folds(history: &History<ParcelEvent>) -> [(String, Fold); 3] {
    [
        Fold::states::<Parcel<NONE>>("Parcel", history),
        Fold::rows::<OnItsWay, _>(history),
        Fold::rows::<Number, _>(history),
    ]
}

#[test]
fn a_result_is_committed_with_its_revision() {
    let committed = committed();
    let folds = folds(&committed.history(read).unwrap());
    let why = committed.check(folds.clone(), false).unwrap_err();
    assert!(why.contains("UPDATE_HISTORY=1"), "{why}");
    assert!(why.contains("view number is not committed yet"), "{why}");
    let updated = committed.check(folds.clone(), true).unwrap().unwrap();
    assert_eq!(updated.events, committed.events);
    assert_eq!(
        serde_json::to_value(&updated.folds["view number"]).unwrap(),
        json!({ "revision": 2, "result": {
            "7": { "number": "7", "sent": 1 },
            "8": { "number": "8", "sent": 1 },
        } })
    );
    assert_eq!(updated.check(folds, false), Ok(None));
}

#[test]
fn another_result_needs_another_revision() {
    let committed = committed();
    let folds = folds(&committed.history(read).unwrap());
    let mut updated = committed.check(folds.clone(), true).unwrap().unwrap();
    let row = updated.folds.get_mut("view number").unwrap();
    row.result.get_mut("7").unwrap()["sent"] = json!(3);
    for update in [false, true] {
        let why = updated.check(folds.clone(), update).unwrap_err();
        assert!(why.contains("view number gives another result"), "{why}");
        assert!(why.contains("committed for revision 2, and is of revision 2"), "{why}");
        assert!(why.contains("-         \"sent\": Number(3)"), "{why}");
    }
    // The code is of a newer revision than the committed result.
    updated.folds.get_mut("view number").unwrap().revision = 1;
    assert!(updated.check(folds.clone(), false).unwrap_err().contains("has a new revision, 2"));
    let again = updated.check(folds.clone(), true).unwrap().unwrap();
    assert_eq!(again.check(folds.clone(), false), Ok(None));
    // A revision does not go back.
    updated.folds.get_mut("view number").unwrap().revision = 3;
    updated.check(folds.clone(), true).unwrap_err();
    // A view that is gone is forgotten.
    let fewer = &folds[..2];
    assert!(again.check(fewer.to_vec(), false).unwrap_err().contains("view number is no more"));
    assert_eq!(again.check(fewer.to_vec(), true).unwrap().unwrap().folds.len(), 2);
}

#[test]
fn an_event_that_cannot_be_read_is_named() {
    let mut committed = committed();
    committed.events[1].record = "ParcelLost".to_owned();
    let why = committed.history(read).unwrap_err();
    assert_eq!(
        why,
        "event 1 (ParcelLost) of the history \"A parcel is sent twice.\": there is no event \"ParcelLost\""
    );
}
