//! A way to a server that can be made bad: what stands between two programs on the network.
//!
//! There are programs that do this (toxiproxy), and clients of them, but no library; it takes a page.
use crate::trial::Dice;
use shell::clock::Clock;
use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    sync::watch,
    task::JoinSet,
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// How connections do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Weather {
    /// Everything passes at once.
    #[default]
    Clear,
    /// Everything passes, later.
    Slow {
        /// How much later.
        delay: Duration,
        /// How much passes in a second.
        bytes_a_second: u32,
    },
    /// Nothing passes, connections stay open. When it clears up, what was held passes after all.
    Silent,
    /// Requests pass, answers do not, until it clears up.
    Mute,
    /// Each connection breaks after a while, in the middle of anything.
    Broken,
}

/// Listens for programs that want to reach a server; dropping it ends all their connections.
#[derive(Debug)]
pub struct Proxy {
    weather: watch::Sender<Weather>,
    cut: watch::Sender<u64>,
    _open: DropGuard,
}

/// What all connections of a proxy share.
#[derive(Clone)]
struct Shared {
    target: SocketAddr,
    weather: watch::Receiver<Weather>,
    /// Raised when all connections are to be cut.
    cut: watch::Receiver<u64>,
    dice: Arc<Mutex<Dice>>,
    clock: Clock,
}

impl Proxy {
    /// Takes connections at `listen`, and makes one to `target` for each.
    ///
    /// # Errors
    /// One cannot listen there.
    pub async fn open(listen: SocketAddr, target: SocketAddr, seed: u64) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let (weather, weather_now) = watch::channel(Weather::Clear);
        let (cut, cut_now) = watch::channel(0);
        let dice = Arc::new(Mutex::new(Dice::new(seed)));
        let clock = Clock::system();
        let shared = Shared { target, weather: weather_now, cut: cut_now, dice, clock };
        let open = CancellationToken::new();
        let closed = open.clone();
        tokio::spawn(async move {
            // They end with this task.
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    () = closed.cancelled() => return,
                    Some(_) = connections.join_next() => {}
                    accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                        connections.spawn(carry(stream, shared.clone()));
                    },
                }
            }
        });
        Ok(Self { weather, cut, _open: open.drop_guard() })
    }

    /// How connections do from now on, those that are open included.
    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// Breaks all connections that are open.
    pub fn cut(&self) {
        self.cut.send_modify(|it| *it += 1);
    }
}

/// A connection, until one side or the weather ends it.
async fn carry(client: TcpStream, shared: Shared) {
    let mut cut = shared.cut.clone();
    cut.mark_unchanged();
    // A server that is down refuses; the client sees its connection end at once.
    let Ok(server) = TcpStream::connect(shared.target).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = pump(from_client, to_server, false, shared.clone()) => {}
        () = pump(from_server, to_client, true, shared.clone()) => {}
        () = breaks(shared.clone()) => {}
        _ = cut.changed() => {}
    }
}

/// Copies one direction, as the weather has it.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, answers: bool, shared: Shared) {
    let mut weather = shared.weather.clone();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let Ok(length @ 1..) = from.read(&mut buffer).await else { return };
        let blocked = |it: &Weather| match it {
            Weather::Silent => true,
            Weather::Mute => answers,
            Weather::Clear | Weather::Slow { .. } | Weather::Broken => false,
        };
        let Ok(now) = weather.wait_for(|it| !blocked(it)).await.map(|it| *it) else { return };
        if let Weather::Slow { delay, bytes_a_second } = now {
            let seconds = f64::from(u32::try_from(length).unwrap_or(u32::MAX))
                / f64::from(bytes_a_second.max(1));
            shared.clock.sleep(delay + Duration::from_secs_f64(seconds)).await;
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

/// Returns when the connection is to break.
async fn breaks(shared: Shared) {
    let mut weather = shared.weather.clone();
    loop {
        if weather.wait_for(|it| *it == Weather::Broken).await.is_err() {
            return std::future::pending().await;
        }
        let after = shared.dice.lock().unwrap_or_else(PoisonError::into_inner).within(5..1500);
        let clears_up = weather.wait_for(|it| *it != Weather::Broken);
        let after = Duration::from_millis(after);
        if shared.clock.timeout(after, clears_up).await.is_none() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::free_port;

    /// Sends back what it gets, and tells how much it got.
    async fn echo() -> (SocketAddr, watch::Receiver<usize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (got, so_far) = watch::channel(0);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                let got = got.clone();
                tokio::spawn(async move {
                    let mut buffer = [0; 1024];
                    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                        got.send_modify(|it| *it += length);
                        if stream.write_all(&buffer[..length]).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        (address, so_far)
    }

    struct Setup {
        proxy: Proxy,
        client: TcpStream,
        got: watch::Receiver<usize>,
    }

    async fn setup() -> Setup {
        let (target, got) = echo().await;
        let listen = SocketAddr::from(([127, 0, 0, 1], free_port().expect("a port")));
        let proxy = Proxy::open(listen, target, 1).await.expect("a proxy");
        let client = TcpStream::connect(listen).await.expect("a connection");
        Setup { proxy, client, got }
    }

    impl Setup {
        async fn sends(&mut self, text: &str) {
            self.client.write_all(text.as_bytes()).await.expect("it is sent");
        }

        async fn gets(&mut self, text: &str) {
            let mut answer = vec![0; text.len()];
            self.client.read_exact(&mut answer).await.expect("an answer");
            assert_eq!(answer, text.as_bytes());
        }

        /// Nothing has come by the time that something else is certain to have.
        fn got_nothing(&self) {
            let mut buffer = [0; 1];
            let nothing = self.client.try_read(&mut buffer);
            assert!(nothing.is_err_and(|it| it.kind() == io::ErrorKind::WouldBlock));
        }

        async fn ends(&mut self) {
            let mut buffer = [0; 64];
            while let Ok(1..) = self.client.read(&mut buffer).await {}
        }
    }

    #[tokio::test]
    async fn in_clear_weather_everything_passes() {
        let mut it = setup().await;
        for text in ["one", "two"] {
            it.sends(text).await;
            it.gets(text).await;
        }
    }

    #[tokio::test]
    async fn what_is_held_in_silence_passes_afterwards() {
        let mut it = setup().await;
        it.sends("one").await;
        it.gets("one").await;
        it.proxy.set(Weather::Silent);
        it.sends("two").await;
        // Another way shows that time enough has passed for this one.
        let mut other = setup().await;
        other.sends("x").await;
        other.gets("x").await;
        it.got_nothing();
        assert_eq!(*it.got.borrow(), 3, "the server has not got it either");
        it.proxy.set(Weather::Clear);
        it.gets("two").await;
    }

    #[tokio::test]
    async fn requests_reach_a_mute_server() {
        let mut it = setup().await;
        it.proxy.set(Weather::Mute);
        it.sends("one").await;
        it.got.wait_for(|it| *it == 3).await.expect("it gets there");
        it.got_nothing();
        it.proxy.set(Weather::Clear);
        it.gets("one").await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_slow_comes_later() {
        let mut it = setup().await;
        let clock = Clock::system();
        it.proxy.set(Weather::Slow { delay: Duration::from_secs(50), bytes_a_second: 1 });
        it.sends("one").await;
        it.gets("one").await;
        // There and back: 50 seconds, and three for three bytes.
        assert!(clock.elapsed() >= Duration::from_secs(106), "{:?}", clock.elapsed());
    }

    #[tokio::test]
    async fn connections_break_and_new_ones_are_made() {
        let mut it = setup().await;
        it.sends("one").await;
        it.gets("one").await;
        it.proxy.set(Weather::Broken);
        it.ends().await;
        let mut other = setup().await;
        other.sends("one").await;
        other.gets("one").await;
        other.proxy.cut();
        other.ends().await;
    }
}
