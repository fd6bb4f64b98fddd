//! Committed histories: what comes of them changes only together with a `REVISION` (protocol.md V2).
//! `UPDATE_HISTORY=1 cargo test -p customers history` writes what a raised revision makes of them.
use customers::{Customer, views};
use functions::spec::history::{Committed, Fold};
use serde_json::Value;
use shared_events::{
    customers::{
        CustomerEmailChanged, CustomerEvent, CustomerInvited, CustomerRemoved, CustomerVerified,
    },
    wire::{Reading, Wire},
};
use std::{fs, path::Path};

fn event(record: &str, body: Value) -> Result<CustomerEvent, String> {
    fn of<T: Wire + Into<CustomerEvent>>(body: Value) -> Result<CustomerEvent, String> {
        serde_json::from_value::<Reading<T>>(body)
            .map(|it| it.0.into())
            .map_err(|it| it.to_string())
    }
    match record {
        "CustomerInvited" => of::<CustomerInvited>(body),
        "CustomerVerified" => of::<CustomerVerified>(body),
        "CustomerEmailChanged" => of::<CustomerEmailChanged>(body),
        "CustomerRemoved" => of::<CustomerRemoved>(body),
        other => Err(format!("there is no event {other:?}")),
    }
}

#[test]
fn a_fold_changes_only_with_its_revision() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/history");
    let update = std::env::var("UPDATE_HISTORY").is_ok_and(|it| it == "1");
    let mut files = 0;
    for entry in fs::read_dir(&folder).expect("the folder of histories") {
        let path = entry.expect("a history").path();
        let text = fs::read_to_string(&path).expect("a history");
        let committed: Committed =
            serde_json::from_str(&text).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
        let history = committed.history(event).unwrap_or_else(|why| panic!("{why}"));
        let folds = [
            Fold::states::<Customer>("Customer", &history),
            Fold::rows::<views::Customer, _>(&history),
            Fold::rows::<views::InvitationsPerDay, _>(&history),
        ];
        match committed.check(folds, update) {
            Ok(None) => {}
            Ok(Some(updated)) => {
                let text = serde_json::to_string_pretty(&updated).expect("JSON") + "\n";
                fs::write(&path, text).expect("a history can be written");
            }
            Err(why) => panic!("{}: {why}", path.display()),
        }
        files += 1;
    }
    assert!(files > 0, "no history in {}", folder.display());
}
