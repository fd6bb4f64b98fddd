//! What is wrong with the broker of a compose file: the settings that fail late, or only for some.
use super::{Compose, Port, check::megabytes, mount};

const NAME: &str = "kafka";

/// Everything that is wrong with it.
pub(super) fn faults(compose: &Compose) -> Vec<String> {
    let Some(kafka) = compose.services.get(NAME) else {
        return vec!["there is no service kafka".to_owned()];
    };
    let mut faults = Vec::new();
    let value = |name: &str| kafka.environment.get(name).cloned().flatten().unwrap_or_default();

    let advertised = value("KAFKA_ADVERTISED_LISTENERS");
    let listeners = value("KAFKA_LISTENERS");
    let protocols = value("KAFKA_LISTENER_SECURITY_PROTOCOL_MAP");
    let mut published = kafka.ports.iter().filter_map(|it| Port::read(it));
    for (listener, address) in advertised.split(',').filter_map(|it| it.split_once("://")) {
        let Some((host, port)) = address.rsplit_once(':') else {
            faults.push(format!("the advertised listener {listener} has no port"));
            continue;
        };
        let bound =
            listeners.split(',').find_map(|it| it.strip_prefix(listener)?.rsplit(':').next());
        if bound.is_none() || !protocols.contains(&format!("{listener}:")) {
            faults.push(format!("the advertised listener {listener} is not configured"));
        }
        // Outside it is found where its port is published; inside by its name, where it listens.
        let found = if host == "localhost" {
            published.any(|it| {
                it.here.to_string() == port && Some(it.inside.to_string().as_str()) == bound
            })
        } else {
            host == NAME && Some(port) == bound
        };
        if !found {
            faults.push(format!("nobody reaches the advertised listener {listener}://{address}"));
        }
    }

    let data = value("KAFKA_LOG_DIRS");
    let kept = |it: &String| {
        mount(it).is_some_and(|(what, place, _)| {
            compose.volumes.contains_key(what) && !data.is_empty() && data.starts_with(place)
        })
    };
    if !kafka.volumes.iter().any(kept) {
        faults.push(format!("its data ({data}) is on no volume, and gone with the container"));
    }

    let heap = value("KAFKA_HEAP_OPTS");
    let heap = heap.split(' ').find_map(|it| megabytes(it.strip_prefix("-Xmx")?));
    let memory = kafka.mem_limit.as_deref().and_then(megabytes);
    // A Java process takes about as much again for what is not on its heap.
    if heap.zip(memory).is_none_or(|(heap, memory)| memory < 2 * heap) {
        faults.push(format!("a heap of {heap:?} MB does not fit into {memory:?} MB"));
    }
    faults.into_iter().map(|fault| format!("{NAME}: {fault}")).collect()
}
