//! Asking a database past all services: with the program that Postgres brings along.
use super::{StackError, tools};
use std::process::Command;

/// What a statement gives, a row a line, with nothing around it. `url` is a server's, `database` one of its databases.
///
/// # Errors
/// The server does not answer, or refuses; the message has its words.
pub fn query(url: &str, database: &str, statement: &str) -> Result<String, StackError> {
    let (server, options) = url.split_once('?').unwrap_or((url, ""));
    let end = server.find("://").map_or(0, |it| it + 3);
    let host = server[end..].find('/').map_or(server, |it| &server[..end + it]);
    let doing = format!("ask the database {database}");
    let mut psql = Command::new(tools::psql()?);
    psql.args(["-qAtX", "-v", "ON_ERROR_STOP=1", "-c", statement]);
    let out = psql
        .arg(format!("{host}/{database}?{options}"))
        .output()
        .map_err(StackError::io(&doing))?;
    if !out.status.success() {
        return Err(StackError::io(&doing)(String::from_utf8_lossy(&out.stderr).trim()));
    }
    let text = String::from_utf8(out.stdout).map_err(StackError::io(&doing))?;
    Ok(text.trim_end().to_owned())
}
