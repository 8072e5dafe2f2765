//! TLS to an origin: certificate and name are always checked.

use std::{io, path::Path, sync::Arc};

use parking_lot::Mutex;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    net::TcpStream,
    time::{Duration, Instant, timeout_at},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{UpstreamConfig, UpstreamError, target::Target};
use crate::tls;

/// How often one origin's handshakes are complained of: each request may meet another failure.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// Why a connection did not become an encrypted one.
#[derive(Debug, thiserror::Error)]
pub(super) enum SecureError {
    /// Whoever answered is not who was asked for.
    #[error("the origin's certificate is not accepted")]
    Untrusted(#[source] io::Error),
    #[error("no TLS with the origin")]
    Handshake(#[source] io::Error),
    #[error("no TLS with the origin within origin.connect_timeout")]
    TooSlow,
}

impl SecureError {
    fn of(error: io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match inner {
            Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => {
                Self::Untrusted(error)
            }
            _ => Self::Handshake(error),
        }
    }
}

/// How TLS is spoken with one origin. Clones share what is known of it.
#[derive(Clone)]
pub(super) struct Secure {
    connector: TlsConnector,
    name: ServerName<'static>,
    shared: Arc<Shared>,
}

struct Shared {
    origin: String,
    complained: Mutex<Option<Instant>>,
}

impl std::fmt::Debug for Secure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secure").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Secure {
    /// One for each of `targets` that is spoken to by TLS.
    pub(super) fn each(config: &UpstreamConfig, targets: &[Target]) -> Result<Vec<Option<Self>>, UpstreamError> {
        let files = config.tls_files()?;
        if !targets.iter().any(|target| target.secure) {
            return match config.tls_key() {
                Some(key) => {
                    let rule = format!("must begin with https://, or one of more_urls must, where origin.{key} is set");
                    Err(UpstreamError::new("url", super::config::shown(&config.url), rule))
                }
                None => Ok(vec![None; targets.len()]),
            };
        }
        let connector = TlsConnector::from(Arc::new(files));
        let secure = |target: &Target| {
            if !target.secure {
                return Ok(None);
            }
            let name = if config.server_name.is_empty() { host(target)? } else { config.server_name()? };
            let shared = Shared { origin: target.authority.to_string(), complained: Mutex::new(None) };
            Ok(Some(Self { connector: connector.clone(), name, shared: Arc::new(shared) }))
        };
        targets.iter().map(secure).collect()
    }

    /// Makes a connection an encrypted one, if that is done by `until`.
    pub(super) async fn handshake(
        &self,
        stream: TcpStream,
        until: Instant,
    ) -> Result<TlsStream<TcpStream>, SecureError> {
        let shaken = timeout_at(until, self.connector.connect(self.name.clone(), stream)).await;
        let shaken = shaken.map_or(Err(SecureError::TooSlow), |done| done.map_err(SecureError::of));
        shaken.inspect_err(|error| self.shared.complain(error))
    }
}

impl Shared {
    fn complain(&self, error: &SecureError) {
        let now = Instant::now();
        let mut complained = self.complained.lock();
        if complained.is_none_or(|last| now - last >= COMPLAIN_EVERY) {
            *complained = Some(now);
            drop(complained);
            let origin = self.origin.as_str();
            tracing::warn!(origin, error = error as &dyn std::error::Error, "origin cannot be spoken to by TLS");
        }
    }
}

/// What an origin must prove to be, by its URL.
fn host(target: &Target) -> Result<ServerName<'static>, UpstreamError> {
    let host = target.authority.host();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    ServerName::try_from(bare.to_owned()).map_err(|_| {
        UpstreamError::new("url", format!("https://{}", target.authority), "must have a host name or an IP address")
    })
}

impl UpstreamConfig {
    /// Checks what concerns TLS, files included, as far as no URL is needed for it.
    ///
    /// # Errors
    /// When a file cannot be read or does not hold what it should, a key does not belong to its certificate, or the name is none.
    pub fn check_tls(&self) -> Result<(), UpstreamError> {
        self.tls_files()?;
        if !self.server_name.is_empty() {
            self.server_name()?;
        }
        if !self.url.is_empty() {
            Secure::each(self, &self.targets()?)?;
        }
        Ok(())
    }

    /// The first key of those that only count with TLS.
    fn tls_key(&self) -> Option<&'static str> {
        let files = [("ca_file", &self.ca_file), ("cert_file", &self.cert_file), ("key_file", &self.key_file)];
        let file = files.into_iter().find(|(_, file)| !file.as_os_str().is_empty()).map(|(key, _)| key);
        file.or((!self.server_name.is_empty()).then_some("server_name"))
    }

    fn server_name(&self) -> Result<ServerName<'static>, UpstreamError> {
        ServerName::try_from(self.server_name.clone()).map_err(|_| {
            let rule = "must be a host name or an IP address, without a port";
            UpstreamError::new("server_name", format!("\"{}\"", self.server_name), rule)
        })
    }

    fn tls_files(&self) -> Result<ClientConfig, UpstreamError> {
        let named = |file: &'_ Path| !file.as_os_str().is_empty();
        let value = |file: &Path| format!("\"{}\"", file.display());
        let wrong = |key: &'static str, file: &Path, error: tls::PemError| {
            UpstreamError::new(key, value(file), error.to_string())
        };
        let ca = Some(self.ca_file.as_path()).filter(|file| named(file));
        let authorities = tls::authorities(ca).map_err(|error| wrong("ca_file", &self.ca_file, error))?;
        let client = tls::client(authorities);
        let mut config = match (named(&self.cert_file), named(&self.key_file)) {
            (false, false) => client.with_no_client_auth(),
            (true, true) => {
                let chain =
                    tls::certificates(&self.cert_file).map_err(|error| wrong("cert_file", &self.cert_file, error))?;
                let key = tls::key(&self.key_file).map_err(|error| wrong("key_file", &self.key_file, error))?;
                client.with_client_auth_cert(chain, key).map_err(|error| {
                    let rule = format!("must be the key of origin.cert_file: {error}");
                    UpstreamError::new("key_file", value(&self.key_file), rule)
                })?
            }
            (cert, _) => {
                let key = if cert { "key_file" } else { "cert_file" };
                let rule = "must be named together with the other of cert_file and key_file";
                return Err(UpstreamError::new(key, "\"\"", rule));
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}
