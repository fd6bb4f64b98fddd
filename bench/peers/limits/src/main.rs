//! What the parts can do by themselves: the limit that the fleet is measured against.
//!
//! - `append --database-url … --from <database> --batch 1000 --rows 100000 [--hot true] [--claims true]`: the rows that
//!   a handler wrote, written again by plain SQL, so many events a transaction
//! - `commit --database-url … --rate 100 --seconds 5`: one row a transaction
//! - `read --database-url … --rate 100 --seconds 5`: one row by its key
//! - `copy --database-url … --rows 100000 --indexes before`: COPY of the rows of a view, one an event
//! - `page --database-url … --database … --question 'customer where … order by … limit 51' --seconds 5`: a page of a view
//! - `hop --kafka-brokers … --rate 100 --seconds 5`: a record through Kafka, `acks=all`
mod append;
mod copy;
mod hop;
mod page;
mod row;

use common::{Arguments, print};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::read()?;
    print(&match arguments.verb() {
        "append" => append::run(&arguments).await?,
        "commit" => row::commit(&arguments).await?,
        "read" => row::read(&arguments).await?,
        "copy" => copy::run(&arguments).await?,
        "page" => page::run(&arguments).await?,
        "hop" => hop::run(&arguments).await?,
        verb => anyhow::bail!("{verb} is not among append, commit, read, copy, page, hop"),
    });
    Ok(())
}
