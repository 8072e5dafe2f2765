use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use anyhow::Context;
use edge_cache_peers::{HOST, content::byte_at, report::Report};

use crate::{
    answer::{self, Head},
    args::One,
};

/// Longest silence of a server within a body.
const PATIENCE: Duration = Duration::from_secs(60);
/// A head that is longer is none.
const HEAD_BYTES_MAX: usize = 1 << 16;

/// One body to be read.
#[derive(Debug)]
pub(crate) struct Download {
    stream: TcpStream,
    request: String,
    status: u16,
    bytes: u64,
    offset: u64,
}

impl Download {
    pub(crate) fn connect(args: &One) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(args.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let range = args.offset.map(|first| format!("range: bytes={first}-{}\r\n", first + args.bytes - 1));
        let request =
            format!("GET {} HTTP/1.1\r\nhost: {HOST}\r\naccept: */*\r\n{}\r\n", args.target, range.unwrap_or_default());
        let status = if args.offset.is_some() { 206 } else { 200 };
        Ok(Self { stream, request, status, bytes: args.bytes, offset: args.offset.unwrap_or(0) })
    }

    pub(crate) fn run(&mut self) -> anyhow::Result<Report> {
        let start = Instant::now();
        self.stream.write_all(self.request.as_bytes())?;
        let mut buffer = vec![0; 1 << 20];
        let (head, read) = self.head(&mut buffer)?;
        let first = start.elapsed();
        let mut right = head.status == self.status && head.body == Some(self.bytes);
        let mut got = 0;
        let mut piece = head.bytes..read;
        while got < head.body.unwrap_or(0) {
            right &= is_part(&buffer[piece.clone()], self.offset + got);
            got += piece.len() as u64;
            if got < head.body.unwrap_or(0) {
                let read = self.stream.read(&mut buffer).context("a body")?;
                anyhow::ensure!(read > 0, "the body ended after {got} bytes");
                piece = 0..read;
            }
        }
        let report =
            Report { requests: 1, bytes: got, wrong: u64::from(!right || got != self.bytes), ..Report::default() };
        let first = first.as_nanos() as u64;
        Ok(Report {
            nanos: start.elapsed().as_nanos() as u64,
            p50: first,
            p95: first,
            p99: first,
            max: first,
            ..report
        })
    }

    fn head(&mut self, buffer: &mut [u8]) -> anyhow::Result<(Head, usize)> {
        let mut read = 0;
        loop {
            let more = self.stream.read(&mut buffer[read..]).context("a head")?;
            anyhow::ensure!(more > 0, "no answer");
            read += more;
            let head = answer::head(&buffer[..read]);
            if let Some(head) = head.map_err(|_| anyhow::anyhow!("what came is no answer"))? {
                return Ok((head, read));
            }
            anyhow::ensure!(read < HEAD_BYTES_MAX, "a head without an end");
        }
    }
}

/// Whether `piece` is what belongs at `offset`, by its ends: all of it would cost more than reading it.
fn is_part(piece: &[u8], offset: u64) -> bool {
    let at = |index: usize| piece[index] == byte_at(offset + index as u64);
    piece.is_empty() || (at(0) && at(piece.len() / 2) && at(piece.len() - 1))
}
