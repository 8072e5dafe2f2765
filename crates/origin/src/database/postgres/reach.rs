//! Connections to a Postgres that are no sessions: to ask whether it is there, and to cancel.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_postgres::config::Host;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{CancelToken, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use edge_cache_core::BoxError;

/// What every Postgres and every pooler answers with one byte, before anybody has to say who he is: "do you speak TLS?".
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// Whether the first of the hosts that can be reached says anything.
pub(super) async fn ask(server: &Config) -> io::Result<()> {
    let (mut stream, _) = open(server).await?;
    stream.write_all(&SSL_REQUEST).await?;
    stream.read_u8().await.map(drop)
}

/// Cancels what runs on a session. Waits until the server has hung up, as libpq does: a pooler forgets a request whose sender has gone
/// before it could pass it on (PgBouncer 1.18), which the driver's own does not wait for.
pub(super) async fn cancel(server: &Config, token: &CancelToken, mut tls: MakeRustlsConnect) -> Result<(), BoxError> {
    let (stream, host) = open(server).await?;
    let tls = MakeTlsConnect::<Lingering>::make_tls_connect(&mut tls, &host)?;
    Ok(token.cancel_query_raw(Lingering(stream), tls).await?)
}

trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Wire for S {}
type Stream = Box<dyn Wire>;

/// The first host that takes a connection, and its name.
async fn open(server: &Config) -> io::Result<(Stream, String)> {
    let ports = server.get_ports();
    let mut refused = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for (at, host) in server.get_hosts().iter().enumerate() {
        let port = ports.get(at).or(ports.first()).copied().unwrap_or(5432);
        let opened: io::Result<Stream> = match host {
            Host::Tcp(name) => TcpStream::connect((name.as_str(), port)).await.map(|stream| Box::new(stream) as _),
            #[cfg(unix)]
            Host::Unix(folder) => {
                let socket = folder.join(format!(".s.PGSQL.{port}"));
                tokio::net::UnixStream::connect(socket).await.map(|stream| Box::new(stream) as _)
            }
        };
        match opened {
            Ok(stream) => {
                let name = match host {
                    Host::Tcp(name) => name.clone(),
                    #[cfg(unix)]
                    Host::Unix(_) => String::new(),
                };
                return Ok((stream, name));
            }
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

/// A stream that is shut down only when the other side has hung up.
struct Lingering(Stream);

impl AsyncRead for Lingering {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Lingering {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.0).poll_flush(cx))?;
        let mut byte = [0];
        let mut rest = ReadBuf::new(&mut byte);
        loop {
            rest.clear();
            match ready!(Pin::new(&mut self.0).poll_read(cx, &mut rest)) {
                Ok(()) if rest.filled().is_empty() => break,
                Ok(()) => {}
                // Hung up, only less politely.
                Err(_) => break,
            }
        }
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
