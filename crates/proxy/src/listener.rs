//! Listening sockets.

use std::net::SocketAddr;

use anyhow::Context;
use tokio::net::{TcpListener, lookup_host};

use crate::exit::UsageError;

/// Binds `address` (`HOST:PORT`, port 0 for a free one); `key` names the setting in errors.
pub(crate) async fn bind(key: &str, address: &str) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let wrong = || UsageError(format!("{key} = {address}: must be ADDRESS:PORT"));
    let resolved = lookup_host(address).await.with_context(wrong)?.next().with_context(wrong)?;
    let listener = TcpListener::bind(resolved).await.with_context(|| format!("cannot listen on {address} ({key})"))?;
    let bound = listener.local_addr().context("a bound socket has an address")?;
    Ok((listener, bound))
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
