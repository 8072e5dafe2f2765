//! Small answers go out by one plain write: to copy a few kilobytes costs less than to hand the system a list of pieces.

use std::{
    cell::RefCell,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// From about here on the list is cheaper.
const JOINED_MAX: usize = 8 << 10;

thread_local! {
    static JOINED: RefCell<[u8; JOINED_MAX]> = const { RefCell::new([0; JOINED_MAX]) };
}

/// A stream that joins small pieces.
#[derive(Debug)]
pub(super) struct SmallWrites<S>(pub(super) S);

impl<S: AsyncRead + Unpin> AsyncRead for SmallWrites<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for SmallWrites<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let len = pieces.iter().map(|piece| piece.len()).sum::<usize>();
        if pieces.len() < 2 || len > JOINED_MAX {
            return Pin::new(&mut self.0).poll_write_vectored(cx, pieces);
        }
        JOINED.with_borrow_mut(|joined| {
            let mut rest = &mut joined[..len];
            for piece in pieces {
                let (here, after) = rest.split_at_mut(piece.len());
                here.copy_from_slice(piece);
                rest = after;
            }
            Pin::new(&mut self.0).poll_write(cx, &joined[..len])
        })
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::{
        io::AsyncReadExt,
        net::{TcpListener, TcpStream},
    };

    use super::*;

    /// What arrives when the pieces are written as often as it takes.
    async fn sent(pieces: &[&[u8]]) -> Vec<u8> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        let write = async move {
            let mut stream = SmallWrites(client);
            let mut slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
            let mut left = &mut slices[..];
            while !left.is_empty() {
                let written = poll_fn(|cx| Pin::new(&mut stream).poll_write_vectored(cx, left)).await.unwrap();
                IoSlice::advance_slices(&mut left, written);
            }
        };
        let mut all = Vec::new();
        let (_, read) = tokio::join!(write, server.read_to_end(&mut all));
        read.unwrap();
        all
    }

    #[tokio::test]
    async fn pieces_arrive_in_their_order_whatever_their_sizes() {
        let (long, edge) = (vec![b'x'; 100_000], vec![b'y'; JOINED_MAX - 4]);
        for pieces in [
            &[&b"head"[..], b"body"][..],
            &[b"alone"],
            &[b"head", &edge],
            &[b"heads", &edge],
            &[b"", b"head", b"", &long, b"end"],
        ] {
            assert_eq!(sent(pieces).await, pieces.concat());
        }
    }
}
