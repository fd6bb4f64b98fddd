//! Starting, breaking, restarting, and what is said when that cannot be.
use crate::servers::{
    Folder, create_topic, has_topic, one_after_another, schema_id, servers_in, sql, until,
};
use fleet::stack::{Ports, Server, Stack, StackError, StackOptions, fetch_packages, shared};
use std::{fs, net::TcpListener, path::Path, process::Command, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

async fn start(options: StackOptions) -> Result<Stack, StackError> {
    Stack::start(options, Arc::new(())).await
}

async fn refusal(options: StackOptions) -> StackError {
    match start(options).await {
        Ok(_) => panic!("it started"),
        Err(error) => error,
    }
}

#[tokio::test]
#[expect(clippy::await_holding_lock, reason = "each test has a runtime of its own")]
async fn data_survives_whatever_happens_to_a_server() {
    let _turn = one_after_another();
    let folder = Folder::new("survives");
    let stack = start(folder.options()).await.unwrap();
    let addresses = stack.addresses().clone();

    create_topic(&addresses, "survivor");
    let id = schema_id(&addresses).await;
    sql(&addresses, "create table survivor as select 42 as answer");
    for server in Server::ALL {
        stack.kill(server).await;
        stack.start_again(server).await.unwrap();
    }
    assert!(has_topic(&addresses, "survivor"));
    assert_eq!(schema_id(&addresses).await, id);
    assert_eq!(sql(&addresses, "select answer from survivor"), "42");

    // A second fleet in the same folder is told who is there.
    let error = refusal(folder.options()).await;
    let StackError::InUse { pid, .. } = error else { panic!("{error}") };
    assert_eq!(pid, Some(std::process::id()));

    // A frozen server answers once it is thawed.
    stack.pause(Server::Postgres);
    let asked = addresses.clone();
    let answer = tokio::task::spawn_blocking(move || sql(&asked, "select 1"));
    let mut answer = Box::pin(answer);
    let early = tokio::time::timeout(Duration::from_millis(300), &mut answer).await;
    assert!(early.is_err(), "a frozen server answered");
    stack.resume(Server::Postgres);
    assert_eq!(answer.await.unwrap(), "1");

    // Nobody asked for this end, so it is reported, with the log.
    let registry = servers_in(&folder.0.join("registry"));
    Command::new("kill").arg("-9").args(&registry).status().unwrap();
    let error = stack.exited().await.to_string();
    assert!(error.starts_with("schema registry ended (signal: 9 (SIGKILL))"), "{error}");
    assert!(error.contains("registry.log"), "{error}");

    stack.stop(Arc::new(())).await;
    assert_eq!(servers_in(&folder.0), Vec::<String>::new());
    let stack = start(folder.options()).await.unwrap();
    assert_eq!(stack.addresses(), &addresses, "ports are remembered");
    assert!(has_topic(&addresses, "survivor"));
    assert_eq!(schema_id(&addresses).await, id);
    assert_eq!(sql(&addresses, "select answer from survivor"), "42");
    drop(stack);
    until("a dropped stack leaves nothing", || servers_in(&folder.0).is_empty()).await;
}

#[tokio::test]
#[expect(clippy::await_holding_lock, reason = "each test has a runtime of its own")]
async fn all_tests_of_a_process_share_one_stack() {
    let _turn = one_after_another();
    let (one, other) = tokio::join!(shared(), shared());
    let addresses = one.unwrap();
    assert_eq!(Ok(&addresses), other.as_ref().map_err(ToString::to_string));
    assert_eq!(sql(&addresses, "select 1"), "1");
}

#[tokio::test]
#[expect(clippy::await_holding_lock, reason = "each test has a runtime of its own")]
async fn a_server_that_does_not_start_is_named_with_its_log() {
    let _turn = one_after_another();
    let folder = Folder::new("broken");
    drop(start(folder.options_of(Server::Kafka)).await.unwrap());
    let identity = folder.0.join("kafka/data/meta.properties");
    fs::write(identity, "version=1\nnode.id=7\ncluster.id=x\n").unwrap();
    let error = refusal(folder.options_of(Server::Kafka)).await.to_string();
    assert!(error.starts_with("Kafka ended (exit status: 1)"), "{error}");
    assert!(error.contains("kafka.log and ends with\n"), "{error}");
    assert_eq!(servers_in(&folder.0), Vec::<String>::new());
}

#[tokio::test]
async fn a_port_in_use_is_named_with_who_has_it() {
    let folder = Folder::new("port");
    // Where it cannot be bound, somebody else has it, which is as good.
    let _held = TcpListener::bind("127.0.0.1:15432");
    let options = StackOptions { ports: Ports::Fixed, ..folder.options_of(Server::Postgres) };
    let error = refusal(options).await;
    let StackError::Port { server: Server::Postgres, port: 15432, holder } = &error else {
        panic!("{error}")
    };
    assert!(holder.contains("pid"), "{error}");
}

#[tokio::test]
async fn a_folder_with_something_else_in_it_is_left_alone() {
    let folder = Folder::new("strange");
    fs::create_dir_all(&folder.0).unwrap();
    fs::write(folder.0.join("letter"), "dear").unwrap();
    let error = refusal(folder.options()).await;
    assert!(matches!(error, StackError::NotOurs { .. }), "{error}");
    assert!(fleet::stack::reset(&folder.0).is_err());
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1);
}

#[tokio::test]
async fn a_cache_that_is_not_whole_is_filled_again() {
    let _turn = one_after_another();
    let folder = Folder::new("cache");
    let fetch = |cache: Option<&Path>| fetch_packages(cache, &(), &CancellationToken::new());
    let whole = fetch(None).unwrap().web();
    let whole = whole.parent().unwrap();
    let copy = folder.0.join(whole.file_name().unwrap());
    fs::create_dir_all(&folder.0).unwrap();
    Command::new("cp").arg("-r").args([whole, &copy]).status().unwrap();

    let page = copy.join("web/graphiql.min.js");
    let length = fs::metadata(&page).unwrap().len();
    fs::File::options().write(true).open(&page).unwrap().set_len(1000).unwrap();
    // Left by a fetch that was cut short.
    fs::create_dir_all(copy.with_extension("part").join("kafka")).unwrap();
    fetch(Some(&folder.0)).unwrap();
    assert_eq!(fs::metadata(&page).unwrap().len(), length);
    assert!(!copy.with_extension("part").exists());
}
