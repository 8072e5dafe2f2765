//! Upgraded connections, such as WebSocket: bytes both ways, until one side ends or says nothing for too long.

use std::{io, time::Duration};

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split},
    sync::{OwnedSemaphorePermit, watch},
    time::{Instant, timeout_at},
};

/// Joins both sides once they have switched. `place` is given back when the tunnel ends.
pub(super) async fn join(client: OnUpgrade, origin: OnUpgrade, idle_max: Duration, place: OwnedSemaphorePermit) {
    let (client, origin) = match tokio::try_join!(client, origin) {
        Ok(sides) => sides,
        Err(error) => return tracing::debug!(%error, "a side did not switch protocols"),
    };
    if let Err(error) = relay(TokioIo::new(client), TokioIo::new(origin), idle_max).await {
        tracing::debug!(%error, "tunnel ended");
    }
    drop(place);
}

async fn relay<C, O>(client: C, origin: O, idle_max: Duration) -> io::Result<()>
where
    C: AsyncRead + AsyncWrite,
    O: AsyncRead + AsyncWrite,
{
    let (from_client, to_client) = split(client);
    let (from_origin, to_origin) = split(origin);
    // Bytes in either direction keep both alive.
    let (active, last) = watch::channel(Instant::now());
    tokio::try_join!(
        copy(from_client, to_origin, idle_max, active.clone(), last.clone()),
        copy(from_origin, to_client, idle_max, active, last),
    )
    .map(drop)
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    idle_max: Duration,
    active: watch::Sender<Instant>,
    last: watch::Receiver<Instant>,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let deadline = *last.borrow() + idle_max;
        let read = match timeout_at(deadline, from.read(&mut buffer)).await {
            Ok(read) => read?,
            Err(_) if *last.borrow() + idle_max > deadline => continue,
            Err(_) => return Err(io::ErrorKind::TimedOut.into()),
        };
        if read == 0 {
            // The other direction may go on: a half-closed tunnel is one still.
            return timeout_at(Instant::now() + idle_max, to.shutdown())
                .await
                .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        }
        active.send_replace(Instant::now());
        // TLS keeps what the socket did not take at once.
        let write = async {
            to.write_all(&buffer[..read]).await?;
            to.flush().await
        };
        match timeout_at(Instant::now() + idle_max, write).await {
            Ok(written) => written?,
            Err(_) => return Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{BufStream, duplex},
        time::timeout,
    };

    use super::*;

    #[tokio::test]
    async fn what_came_goes_on_at_once_through_a_side_that_would_keep_it() {
        let long = Duration::from_secs(60);
        let ((mut client, near), (far, mut origin)) = (duplex(64), duplex(64));
        let relay = tokio::spawn(relay(BufStream::new(near), BufStream::new(far), long * 60));
        let mut hello = [0; 5];
        for _ in 0..2 {
            client.write_all(b"hello").await.unwrap();
            timeout(long, origin.read_exact(&mut hello)).await.expect("it came").unwrap();
            origin.write_all(&hello).await.unwrap();
            timeout(long, client.read_exact(&mut hello)).await.expect("it came back").unwrap();
        }
        drop((client, origin));
        drop(relay.await);
    }
}
