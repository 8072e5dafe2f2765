use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use crate::PATIENCE;

const ANSWER: &str =
    "HTTP/1.1 200 OK\r\ncache-control: max-age=3600\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok";

/// A request at a [`CountingOrigin`].
#[derive(Clone, Debug)]
pub struct Arrival {
    /// When its head had come.
    pub at: Instant,
    /// Path and query.
    pub target: String,
}

#[derive(Debug, Default)]
struct Book {
    arrivals: Vec<Arrival>,
    here: usize,
    most: usize,
}

/// An origin that is good for a great many requests: every answer is the same, may be kept for an hour, and takes a while.
#[derive(Debug)]
pub struct CountingOrigin {
    address: SocketAddr,
    book: Arc<Mutex<Book>>,
    count: watch::Receiver<usize>,
    _task: AbortOnDropHandle<()>,
}

impl CountingOrigin {
    /// Starts one that takes `while_` for each answer.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn start(while_: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let book = Arc::<Mutex<Book>>::default();
        let (told, count) = watch::channel(0);
        let (noted, told) = (Arc::clone(&book), Arc::new(told));
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (noted, told) = (Arc::clone(&noted), Arc::clone(&told));
                connections.spawn(async move { serve(stream, &noted, &told, while_).await });
            }
        });
        Self { address, book, count, _task: AbortOnDropHandle::new(task) }
    }

    /// `http://ADDRESS:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits until `count` requests have come.
    ///
    /// # Panics
    /// When they do not.
    pub async fn arrived(&self, count: usize) {
        let mut seen = self.count.clone();
        let came = timeout(PATIENCE, seen.wait_for(|seen| *seen >= count)).await;
        assert!(came.is_ok(), "{count} requests did not come");
    }

    /// Every request so far, in order.
    ///
    /// # Panics
    /// When a connection's task panicked.
    #[must_use]
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.book.lock().expect("nobody panics with the lock").arrivals.clone()
    }

    /// How often each target was asked for.
    #[must_use]
    pub fn by_target(&self) -> HashMap<String, usize> {
        let mut counts = HashMap::new();
        for arrival in self.arrivals() {
            *counts.entry(arrival.target).or_default() += 1;
        }
        counts
    }

    /// How many are not answered yet.
    ///
    /// # Panics
    /// When a connection's task panicked.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.book.lock().expect("nobody panics with the lock").here
    }

    /// The most that were in flight at once, since this was asked last.
    ///
    /// # Panics
    /// When a connection's task panicked.
    #[must_use]
    pub fn take_most(&self) -> usize {
        let mut book = self.book.lock().expect("nobody panics with the lock");
        std::mem::take(&mut book.most)
    }
}

async fn serve(stream: TcpStream, book: &Mutex<Book>, told: &watch::Sender<usize>, while_: Duration) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut target, mut line) = (None, String::new());
        while line != "\r\n" {
            line.clear();
            if stream.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            target.get_or_insert_with(|| line.split(' ').nth(1).unwrap_or_default().to_owned());
        }
        {
            let mut book = book.lock().expect("nobody panics with the lock");
            book.arrivals.push(Arrival { at: Instant::now(), target: target? });
            book.here += 1;
            book.most = book.most.max(book.here);
            told.send_replace(book.arrivals.len());
        }
        sleep(while_).await;
        // Before the answer: whoever has it may send the next request at once.
        book.lock().expect("nobody panics with the lock").here -= 1;
        stream.write_all(ANSWER.as_bytes()).await.ok()?;
    }
}
