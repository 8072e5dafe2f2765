//! How every Rust server of this comparison listens and serves, so that they differ only in what answers.

use std::{
    convert::Infallible,
    error::Error,
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    thread,
};

use anyhow::Context;
use http::{Request, Response};
use hyper::{body::Incoming, service::Service};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use socket2::{Domain, Protocol, Socket, Type};

/// Connections that wait to be accepted: a loader opens thousands at once.
const BACKLOG: i32 = 16_384;

/// Serves on a free port of loopback until the process ends; the first line on standard output is the address.
///
/// Each of `threads` has a runtime and a listener of its own; the kernel deals connections out among the listeners.
/// `service` is called once on each of these threads, inside its runtime.
///
/// # Errors
/// When there is no port or no thread to be had.
pub fn serve<S, B>(threads: usize, service: impl Fn() -> S + Clone + Send + 'static) -> anyhow::Result<()>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let first = listener(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).context("no free port")?;
    let address = first.local_addr()?;
    let others = (1..threads).map(|_| listener(address)).collect::<io::Result<Vec<_>>>();
    let mut running = Vec::new();
    for listener in others.context("the port cannot be shared")?.into_iter().chain([first]) {
        let service = service.clone();
        running
            .push(thread::Builder::new().name("serving".to_owned()).spawn(move || on_this_thread(listener, service))?);
    }
    announce(address)?;
    for thread in running {
        thread.join().map_err(|_| anyhow::anyhow!("a serving thread panicked"))??;
    }
    Ok(())
}

/// Tells whoever started this process where it listens.
fn announce(address: SocketAddr) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{address}")?;
    stdout.flush()
}

fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn on_this_thread<S, B>(listener: TcpListener, service: impl Fn() -> S) -> anyhow::Result<()>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let service = service();
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await.context("a listener failed")?;
            stream.set_nodelay(true)?;
            let service = service.clone();
            tokio::spawn(async move {
                let builder = auto::Builder::new(TokioExecutor::new());
                // A client that goes away is nothing to report.
                drop(builder.serve_connection(TokioIo::new(stream), service).await);
            });
        }
    })
}
