//! Upgraded connections, such as WebSocket: bytes both ways, until one side ends or says nothing for too long.

use std::{io, time::Duration};

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split},
    sync::{OwnedSemaphorePermit, watch},
    time::{Instant, timeout_at},
};

/// Joins both sides once they have switched. `place` is given back when the tunnel ends.
pub(super) async fn join(client: OnUpgrade, origin: OnUpgrade, idle_max: Duration, place: OwnedSemaphorePermit) {
    let (client, origin) = match tokio::try_join!(client, origin) {
        Ok(sides) => sides,
        Err(error) => return tracing::debug!(%error, "a side did not switch protocols"),
    };
    if let Err(error) = relay(client, origin, idle_max).await {
        tracing::debug!(%error, "tunnel ended");
    }
    drop(place);
}

async fn relay(client: Upgraded, origin: Upgraded, idle_max: Duration) -> io::Result<()> {
    let (from_client, to_client) = split(TokioIo::new(client));
    let (from_origin, to_origin) = split(TokioIo::new(origin));
    // Bytes in either direction keep both alive.
    let (active, last) = watch::channel(Instant::now());
    tokio::try_join!(
        copy(from_client, to_origin, idle_max, active.clone(), last.clone()),
        copy(from_origin, to_client, idle_max, active, last),
    )
    .map(drop)
}

async fn copy(
    mut from: ReadHalf<TokioIo<Upgraded>>,
    mut to: WriteHalf<TokioIo<Upgraded>>,
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
            return to.shutdown().await;
        }
        active.send_replace(Instant::now());
        match timeout_at(Instant::now() + idle_max, to.write_all(&buffer[..read])).await {
            Ok(written) => written?,
            Err(_) => return Err(io::ErrorKind::TimedOut.into()),
        }
    }
}
