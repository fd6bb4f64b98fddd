//! What cannot be read is kept, passed over, and counted for those who watch.
use crate::{bad_records::refused, views};
use metrics_exporter_prometheus::PrometheusBuilder;

/// The counters after a test, which runs on this thread.
fn counted(test: impl FnOnce()) -> String {
    let recorder = PrometheusBuilder::new().with_recommended_naming(true).build_recorder();
    metrics::with_local_recorder(&recorder, test);
    recorder.handle().render()
}

#[track_caller]
fn has(counters: &str, line: &str) {
    assert!(counters.lines().any(|it| it == line), "{line} is not in\n{counters}");
}

#[test]
fn a_record_that_is_no_command() {
    let counters = counted(|| refused("UNDECODABLE", "0 bytes", |it| it.payload.clear()));
    has(&counters, r#"flotilla_dead_letters_total{context="customers"} 1"#);
    // That one and the good one behind it.
    for verdict in ["rejected", "accepted"] {
        let line =
            format!(r#"flotilla_commands_total{{context="customers",verdict="{verdict}"}} 1"#);
        has(&counters, &line);
    }
}

#[test]
fn an_event_that_cannot_be_read() {
    let counters = counted(views::an_event_that_cannot_be_read_parks_its_stream);
    has(&counters, r#"flotilla_parked_events_total{view="toy"} 1"#);
}

#[test]
fn a_record_that_is_no_event() {
    let counters = counted(views::a_foreign_record_without_an_envelope_is_passed_over);
    let name = r#"flotilla_foreign_records_total{view="customer"} "#;
    let count = counters.lines().find_map(|it| it.strip_prefix(name)?.parse::<u64>().ok());
    // Three in each partition; those that are read again are counted again.
    assert!(count.is_some_and(|it| it >= 9), "{counters}");
}
