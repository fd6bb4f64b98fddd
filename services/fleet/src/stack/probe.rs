//! Does a server answer? One real question each, in a handful of bytes: a port that accepts proves nothing.
use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(2);

fn connect(port: u16) -> std::io::Result<TcpStream> {
    let stream =
        TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Kafka names a broker that is up, when asked for its metadata.
pub(super) fn kafka(port: u16) -> bool {
    // Length; Metadata (3) in version 1; correlation 1; no client id; no topics.
    let question = [0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 0];
    // Length, correlation, number of brokers.
    let mut answer = [0; 12];
    let asked = connect(port).and_then(|mut stream| {
        stream.write_all(&question)?;
        stream.read_exact(&mut answer)
    });
    asked.is_ok() && answer[4..8] == [0, 0, 0, 1] && answer[8..] > [0, 0, 0, 0][..]
}

/// The registry lists its subjects.
pub(super) fn registry(port: u16) -> bool {
    let question = "GET /apis/ccompat/v7/subjects HTTP/1.0\r\nHost: localhost\r\n\r\n";
    let mut answer = [0; 12];
    let asked = connect(port).and_then(|mut stream| {
        stream.write_all(question.as_bytes())?;
        stream.read_exact(&mut answer)
    });
    asked.is_ok() && answer.starts_with(b"HTTP/1.") && answer.ends_with(b" 200")
}

/// Postgres lets us in and is ready for a query.
pub(super) fn postgres(port: u16, user: &str) -> bool {
    let names = format!("user\0{user}\0database\0postgres\0\0");
    let mut question = vec![0, 0, 0, 0, 0, 3, 0, 0];
    question.extend_from_slice(names.as_bytes());
    let Ok(length) = u32::try_from(question.len()) else { return false };
    question[..4].copy_from_slice(&length.to_be_bytes());
    let asked = connect(port).and_then(|mut stream| {
        stream.write_all(&question)?;
        until_ready(&mut stream)?;
        stream.write_all(b"X\0\0\0\x04")
    });
    asked.is_ok()
}

/// Reads messages until "ready for query"; an error message is followed by the end of the stream.
fn until_ready(stream: &mut TcpStream) -> std::io::Result<()> {
    loop {
        let mut head = [0; 5];
        stream.read_exact(&mut head)?;
        if head[0] == b'Z' {
            return Ok(());
        }
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
        let mut body = vec![0; (length.clamp(4, 64 * 1024) - 4) as usize];
        stream.read_exact(&mut body)?;
    }
}
