//! What TLS to a database, to an HTTP origin and to another node have in common: whom to trust, and how certificates are read from files.
//!
//! ```no_run
//! use std::path::Path;
//!
//! use edge_cache_origin::tls;
//!
//! // Trusts one authority, and shows who asks.
//! let client = tls::client(tls::authorities(Some(Path::new("ca.pem")))?);
//! let config = client.with_client_auth_cert(tls::certificates(Path::new("cert.pem"))?, tls::key(Path::new("key.pem"))?)?;
//! # drop(config);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::{io, path::Path, sync::Arc};

use rustls::{
    ClientConfig, ConfigBuilder, RootCertStore,
    client::WantsClientCert,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
};

/// Why a file cannot be used. Nothing of what is in it is told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message says it")]
pub enum PemError {
    #[error("must be a file that can be read: {0}")]
    Unreadable(#[source] io::Error),
    #[error("must hold a PEM block `-----BEGIN {0}…`")]
    Lacks(&'static str),
    #[error("must be whole PEM")]
    Broken(#[source] pem::Error),
    #[error("must hold certificates of authorities: {0}")]
    NoAuthority(#[source] rustls::Error),
}

/// The certificates in a PEM file, in their order: at least one.
///
/// # Errors
/// The file cannot be read, is not whole, or holds none.
pub fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let bytes = std::fs::read(file).map_err(PemError::Unreadable)?;
    let all = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>().map_err(PemError::Broken)?;
    if all.is_empty() { Err(PemError::Lacks("CERTIFICATE")) } else { Ok(all) }
}

/// The first private key in a PEM file.
///
/// # Errors
/// The file cannot be read, is not whole, or holds none.
pub fn key(file: &Path) -> Result<PrivateKeyDer<'static>, PemError> {
    let bytes = std::fs::read(file).map_err(PemError::Unreadable)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| match error {
        pem::Error::NoItemsFound => PemError::Lacks("PRIVATE KEY"),
        error => PemError::Broken(error),
    })
}

/// The authorities in a PEM file; without one, those that browsers trust.
///
/// # Errors
/// The file cannot be read, is not whole, or holds no certificate of an authority.
pub fn authorities(file: Option<&Path>) -> Result<RootCertStore, PemError> {
    let mut roots = RootCertStore::empty();
    match file {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(file) => {
            for certificate in certificates(file)? {
                roots.add(certificate).map_err(PemError::NoAuthority)?;
            }
        }
    }
    Ok(roots)
}

/// A client that trusts `authorities`, and checks name and certificate of whoever answers. What it shows of itself is still to be said.
///
/// # Panics
/// Never: ring has suites for TLS 1.2 and 1.3.
#[must_use]
pub fn client(authorities: RootCertStore) -> ConfigBuilder<ClientConfig, WantsClientCert> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has suites for the versions that rustls is built with");
    config.with_root_certificates(authorities)
}
