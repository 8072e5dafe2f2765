//! Listening sockets, over TCP and in the file system.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
};

use anyhow::Context;
use edge_cache::settings::Place;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream, lookup_host};

use crate::exit::UsageError;

/// A socket that listens.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: Listening,
    /// Whether clients speak TLS to it.
    pub(crate) tls: bool,
}

#[derive(Debug)]
enum Listening {
    Tcp(TcpListener, SocketAddr),
    Unix(UnixListener, OwnFile),
}

/// A connection that was accepted.
#[derive(Debug)]
pub(crate) enum Socket {
    /// Over TCP.
    Tcp(TcpStream),
    /// In the file system.
    Unix(UnixStream),
}

/// A socket's file, which goes with it.
#[derive(Debug)]
struct OwnFile(PathBuf);

impl Drop for OwnFile {
    fn drop(&mut self) {
        // Whoever took it away did what was to be done.
        drop(std::fs::remove_file(&self.0));
    }
}

impl Listener {
    /// Listens at `place`; `key` names the setting in errors.
    pub(crate) async fn bind(key: &str, place: &str) -> anyhow::Result<Self> {
        let wrong = || UsageError(format!("{key} = {place}: must be ADDRESS:PORT, https://ADDRESS:PORT or unix:PATH"));
        match Place::parse(place).with_context(wrong)? {
            Place::Tcp { address, tls } => {
                let resolved = lookup_host(&address).await.with_context(wrong)?.next().with_context(wrong)?;
                let listener = TcpListener::bind(resolved).await;
                let listener = listener.with_context(|| format!("cannot listen on {address} ({key})"))?;
                let bound = listener.local_addr().context("a bound socket has an address")?;
                Ok(Self { socket: Listening::Tcp(listener, bound), tls })
            }
            Place::Unix(path) => {
                let cannot = || format!("cannot listen on {} ({key})", path.display());
                remove_if_dead(&path).with_context(cannot)?;
                let listener = UnixListener::bind(&path).with_context(cannot)?;
                Ok(Self { socket: Listening::Unix(listener, OwnFile(path)), tls: false })
            }
        }
    }

    /// Its address; `None` in the file system.
    pub(crate) const fn address(&self) -> Option<SocketAddr> {
        match &self.socket {
            Listening::Tcp(_, address) => Some(*address),
            Listening::Unix(..) => None,
        }
    }

    /// Whether only this machine reaches it.
    pub(crate) fn is_local(&self) -> bool {
        self.address().is_none_or(|address| address.ip().is_loopback())
    }

    /// The next connection.
    pub(crate) async fn accept(&self) -> io::Result<Socket> {
        match &self.socket {
            Listening::Tcp(listener, _) => {
                let (stream, _) = listener.accept().await?;
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "cannot set TCP_NODELAY");
                }
                Ok(Socket::Tcp(stream))
            }
            Listening::Unix(listener, _) => listener.accept().await.map(|(stream, _)| Socket::Unix(stream)),
        }
    }
}

/// As a client names it.
impl std::fmt::Display for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.socket {
            Listening::Tcp(_, address) if self.tls => write!(f, "https://{address}"),
            Listening::Tcp(_, address) => write!(f, "http://{address}"),
            Listening::Unix(_, file) => write!(f, "unix:{}", file.0.display()),
        }
    }
}

/// A connection between two runtimes.
#[derive(Debug)]
pub(crate) enum Detached {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

impl Detached {
    /// Gives it to the runtime that runs this.
    pub(crate) fn attach(self) -> io::Result<Socket> {
        match self {
            Self::Tcp(stream) => TcpStream::from_std(stream).map(Socket::Tcp),
            Self::Unix(stream) => UnixStream::from_std(stream).map(Socket::Unix),
        }
    }
}

impl Socket {
    /// Takes it from its runtime.
    pub(crate) fn detach(self) -> io::Result<Detached> {
        match self {
            Self::Tcp(stream) => stream.into_std().map(Detached::Tcp),
            Self::Unix(stream) => stream.into_std().map(Detached::Unix),
        }
    }

    /// Who connected; `None` in the file system.
    pub(crate) fn peer(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(stream) => stream.peer_addr().ok().map(|peer| peer.ip().to_canonical()),
            Self::Unix(_) => None,
        }
    }
}

/// A process that was killed leaves its socket behind, and nobody could bind it again.
fn remove_if_dead(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => match std::os::unix::net::UnixStream::connect(path) {
            Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
            Err(error) => Err(error),
        },
        Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Lets the process open as many descriptors as the system allows it: the usual soft limit is 1 024, a client costs one.
pub(crate) fn raise_descriptor_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(soft, hard)| if soft < hard { setrlimit(Resource::RLIMIT_NOFILE, hard, hard) } else { Ok(()) });
    if let Err(error) = raised {
        tracing::warn!(%error, "cannot raise the limit of open descriptors");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dead_socket_is_taken_over_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let place = format!("unix:{}", folder.path().join("s").display());
        // As a process that was killed leaves it: nobody listens, the file stays.
        drop(std::os::unix::net::UnixListener::bind(folder.path().join("s")).unwrap());
        let first = Listener::bind("listen.address", &place).await.unwrap();
        let second = Listener::bind("listen.address", &place).await.unwrap_err();
        assert!(format!("{second:#}").contains("(listen.address): address in use"), "{second:#}");
        drop(first);
        assert!(!folder.path().join("s").exists(), "it goes with its listener");
        std::fs::write(folder.path().join("s"), "text").unwrap();
        let other = Listener::bind("listen.address", &place).await.unwrap_err();
        assert!(format!("{other:#}").contains("exists"), "what is no socket is left alone: {other:#}");
    }
}
