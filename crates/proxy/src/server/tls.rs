//! The certificate that clients and operators see, which can be renewed while it is shown.

use std::{fmt::Display, path::Path, sync::Arc};

use anyhow::Context;
use arc_swap::ArcSwap;
use edge_cache::settings::TlsSettings;
use edge_cache_origin::tls;
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, ring},
    server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::CertifiedKey,
};
use tokio_rustls::TlsAcceptor;

use crate::exit::UsageError;

/// HTTP/2 before HTTP/1.1.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// TLS as this server speaks it. Clones share the certificate.
#[derive(Clone)]
pub(crate) struct Tls {
    shown: Arc<Shown>,
    /// For clients.
    pub(crate) clients: TlsAcceptor,
    /// For operators, who may show a certificate of their own.
    pub(crate) operators: TlsAcceptor,
}

/// The certificate of now, with its key.
#[derive(Debug)]
struct Shown(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl Tls {
    /// TLS with the files that the settings name; `None` where they name none.
    ///
    /// # Errors
    /// The setting whose file cannot be used, and why.
    pub(crate) fn load(settings: &TlsSettings) -> anyhow::Result<Option<Self>> {
        if settings.cert_file.as_os_str().is_empty() {
            return Ok(None);
        }
        let shown = Arc::new(Shown(ArcSwap::from_pointee(certificate(settings)?)));
        let acceptor = |verifier: Arc<dyn ClientCertVerifier>, protocols: &[&[u8]]| {
            let resolver: Arc<dyn ResolvesServerCert> = Arc::clone(&shown) as _;
            let config = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
            let config = config.context("ring speaks TLS 1.2 and 1.3")?.with_client_cert_verifier(verifier);
            let mut config = config.with_cert_resolver(resolver);
            config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
            // Whoever comes again need not be negotiated with from the start, and nothing is kept here for it.
            config.ticketer = ring::Ticketer::new().context("cannot make a key for session tickets")?;
            anyhow::Ok(TlsAcceptor::from(Arc::new(config)))
        };
        let clients = acceptor(WebPkiClientVerifier::no_client_auth(), &PROTOCOLS)?;
        let operators = acceptor(of_operators(&settings.admin_client_ca_file)?, &PROTOCOLS[1..])?;
        Ok(Some(Self { shown, clients, operators }))
    }

    /// Shows this certificate from the next connection on.
    pub(crate) fn show(&self, certificate: CertifiedKey) {
        self.shown.0.store(Arc::new(certificate));
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// The certificate in the files that the settings name, with its key.
///
/// # Errors
/// The setting whose file cannot be used, and why.
pub(crate) fn certificate(settings: &TlsSettings) -> anyhow::Result<CertifiedKey> {
    let TlsSettings { cert_file, key_file, .. } = settings;
    let chain = tls::certificates(cert_file).map_err(|error| wrong("tls.cert_file", cert_file, error))?;
    let key = tls::key(key_file).map_err(|error| wrong("tls.key_file", key_file, error))?;
    CertifiedKey::from_der(chain, key, &provider()).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            let rule = format!("must be the key of tls.cert_file = \"{}\"", cert_file.display());
            wrong("tls.key_file", key_file, rule)
        }
        error => wrong("tls.key_file", key_file, format_args!("cannot be used: {error}")),
    })
}

fn of_operators(authorities: &Path) -> anyhow::Result<Arc<dyn ClientCertVerifier>> {
    if authorities.as_os_str().is_empty() {
        return Ok(WebPkiClientVerifier::no_client_auth());
    }
    let key = "tls.admin_client_ca_file";
    let roots = tls::authorities(Some(authorities)).map_err(|error| wrong(key, authorities, error))?;
    // Whoever shows none may have a token.
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).allow_unauthenticated();
    verifier.build().map_err(|error| wrong(key, authorities, format_args!("cannot be used: {error}")))
}

fn wrong(key: &str, file: &Path, rule: impl Display) -> anyhow::Error {
    UsageError(format!("{key} = \"{}\": {rule}", file.display())).into()
}
