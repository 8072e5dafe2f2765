use std::{
    io::{self, Read, Write},
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::Context;
use edge_cache_peers::report::Report;
use mio::{Events, Interest, Poll, Token, net::TcpStream};

use crate::{
    answer::{Expected, Progress, Reading},
    target::Target,
};

/// Longest silence of a server that is asked; a loop that waits for longer would wait for ever.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bad answers of which it is told what was bad; the others are only counted.
const TOLD_MAX: u64 = 3;
/// Bytes of a bad answer that are shown.
const SHOWN_MAX: usize = 300;

/// Keep-alive connections, each with at most one request under way.
#[derive(Debug)]
pub(crate) struct Connections {
    address: SocketAddr,
    poll: Poll,
    events: Events,
    all: Vec<Connection>,
    request: Vec<u8>,
    buffer: Box<[u8]>,
    told: u64,
    /// What the first requests met.
    pub(crate) opened: Report,
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    reading: Reading,
    expected: Expected,
    since: Option<Instant>,
}

/// How a request ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    pub(crate) connection: usize,
    /// The time that was given when it was sent.
    pub(crate) since: Instant,
    pub(crate) how: How,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum How {
    Right,
    Wrong,
    /// The connection broke, and there is a new one in its place.
    Failed,
}

impl Connections {
    pub(crate) fn open(address: SocketAddr, count: usize) -> anyhow::Result<Self> {
        let poll = Poll::new()?;
        let all = (0..count).map(|at| connect(&poll, address, at)).collect::<anyhow::Result<_>>()?;
        Ok(Self {
            address,
            poll,
            events: Events::with_capacity(1024),
            all,
            request: Vec::new(),
            buffer: vec![0; 1 << 18].into(),
            told: 0,
            opened: Report::default(),
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// Sends the next request of `target`; `since` is when its latency begins.
    pub(crate) fn send(&mut self, at: usize, target: &mut Target, since: Instant) -> anyhow::Result<()> {
        let connection = &mut self.all[at];
        connection.expected = target.next(&mut self.request);
        connection.since = Some(since);
        match connection.stream.write(&self.request) {
            // A request fits into the empty buffer of a connection on which nothing is under way.
            Ok(written) if written == self.request.len() => Ok(()),
            Ok(written) => anyhow::bail!("only {written} bytes of a request could be sent"),
            // What became of the connection is told by reading from it.
            Err(error) if is_broken(&error) => Ok(()),
            Err(error) => Err(error).context("a request cannot be sent"),
        }
    }

    /// Waits, at most for `longest`, and tells of each request that ended.
    pub(crate) fn wait(&mut self, longest: Option<Duration>, ended: &mut Vec<Ended>) -> anyhow::Result<()> {
        ended.clear();
        match self.poll.poll(&mut self.events, Some(longest.unwrap_or(PATIENCE))) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        anyhow::ensure!(longest.is_some() || !self.events.is_empty(), "no answer within {PATIENCE:?}");
        for event in &self.events {
            let Token(at) = event.token();
            let connection = &mut self.all[at];
            if let Some((how, why)) = connection.read(&mut self.buffer)? {
                if !matches!(how, How::Right) && connection.since.is_some() && self.told < TOLD_MAX {
                    self.told += 1;
                    eprintln!("{}: connection {at}: {why}; expected was {:?}", self.address, connection.expected);
                }
                if matches!(how, How::Failed) {
                    // Closing the old one takes it out of the poll.
                    let since = connection.since;
                    *connection = connect(&self.poll, self.address, at)?;
                    connection.since = since;
                }
                if let Some(since) = connection.since.take() {
                    ended.push(Ended { connection: at, since, how });
                }
            }
        }
        Ok(())
    }
}

fn connect(poll: &Poll, address: SocketAddr, at: usize) -> anyhow::Result<Connection> {
    // Waiting here keeps the number of connections that are not yet accepted below what a backlog holds.
    let stream = std::net::TcpStream::connect(address).with_context(|| format!("connection {at} to {address}"))?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    let mut stream = TcpStream::from_std(stream);
    poll.registry().register(&mut stream, Token(at), Interest::READABLE)?;
    Ok(Connection { stream, reading: Reading::default(), expected: Expected::default(), since: None })
}

impl Connection {
    /// Reads what is there: how the request ended, and what there is to say of a bad end. `None` while there is more to come.
    fn read(&mut self, buffer: &mut [u8]) -> anyhow::Result<Option<(How, String)>> {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return Ok(Some((How::Failed, format!("it ended, {}", self.reading)))),
                Ok(read) => match self.reading.feed(&buffer[..read], &self.expected) {
                    Progress::Done { right: true } => return Ok(Some((How::Right, String::new()))),
                    Progress::Done { right: false } => return Ok(Some((How::Wrong, shown("wrong", &buffer[..read])))),
                    Progress::Broken => {
                        let why = format!("{}, {}", shown("broken", &buffer[..read]), self.reading);
                        return Ok(Some((How::Failed, why)));
                    }
                    // A read that leaves room has taken all there is: the poll tells of more.
                    Progress::More if read < buffer.len() => return Ok(None),
                    Progress::More => {}
                },
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if is_broken(&error) => {
                    return Ok(Some((How::Failed, format!("{error}, {}", self.reading))));
                }
                Err(error) => return Err(error).context("an answer cannot be read"),
            }
        }
    }
}

/// The beginning of what was read last.
fn shown(what: &str, read: &[u8]) -> String {
    let beginning = &read[..read.len().min(SHOWN_MAX)];
    format!("{what}, after {} bytes that begin {:?}", read.len(), String::from_utf8_lossy(beginning))
}

fn is_broken(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe
    )
}
