//! A TCP proxy that does what networks do.

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};
use tokio_util::task::AbortOnDropHandle;

/// What the way is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Way {
    /// Everything passes.
    Open,
    /// Connections stay open, and nothing passes: what is sent waits.
    Silent,
    /// Connections are closed, new ones too.
    Closed,
}

/// A way to a server on this machine that can be made bad. Gone when it is dropped.
#[derive(Debug)]
pub struct Fault {
    /// Where it listens.
    pub address: SocketAddr,
    way: Arc<watch::Sender<Way>>,
    _task: AbortOnDropHandle<()>,
}

impl Fault {
    /// A way to `port` on 127.0.0.1, open.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn before(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let way = Arc::new(watch::Sender::new(Way::Open));
        let ways = Arc::clone(&way);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if *ways.borrow() == Way::Closed {
                    continue;
                }
                tokio::spawn(pass(client, port, ways.subscribe()));
            }
        });
        Self { address, way, _task: AbortOnDropHandle::new(task) }
    }

    /// From now on the way is so.
    pub fn make(&self, way: Way) {
        self.way.send_replace(way);
    }
}

async fn pass(client: TcpStream, port: u16, way: watch::Receiver<Way>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    if client.set_nodelay(true).is_err() || server.set_nodelay(true).is_err() {
        return;
    }
    let (client, server) = (client.into_split(), server.into_split());
    let mut closed = way.clone();
    let both = async {
        tokio::join!(one_way(client.0, server.1, way.clone()), one_way(server.0, client.1, way.clone()));
    };
    tokio::select! {
        () = both => {}
        _ = closed.wait_for(|way| *way == Way::Closed) => {}
    }
}

async fn one_way(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut way: watch::Receiver<Way>) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let Ok(read) = from.read(&mut buffer).await else { return };
        if read == 0 || way.wait_for(|way| *way != Way::Silent).await.is_err() {
            return;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
