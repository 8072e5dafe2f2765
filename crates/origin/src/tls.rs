//! What TLS to a database and to an HTTP origin have in common: whom to trust, and how certificates are read from files.

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
pub(crate) enum PemError {
    #[error("must be a file that can be read: {0}")]
    Unreadable(#[source] io::Error),
    #[error("must hold a PEM block `-----BEGIN {0}…`")]
    Lacks(&'static str),
    #[error("must be whole PEM")]
    Broken(#[source] pem::Error),
    #[error("must hold certificates of authorities: {0}")]
    NoAuthority(#[source] rustls::Error),
}

/// The certificates in a file, at least one.
pub(crate) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let bytes = std::fs::read(file).map_err(PemError::Unreadable)?;
    let all = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>().map_err(PemError::Broken)?;
    if all.is_empty() { Err(PemError::Lacks("CERTIFICATE")) } else { Ok(all) }
}

/// The first private key in a file.
pub(crate) fn key(file: &Path) -> Result<PrivateKeyDer<'static>, PemError> {
    let bytes = std::fs::read(file).map_err(PemError::Unreadable)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| match error {
        pem::Error::NoItemsFound => PemError::Lacks("PRIVATE KEY"),
        error => PemError::Broken(error),
    })
}

/// The authorities in a file; without one, those that browsers trust.
pub(crate) fn authorities(file: Option<&Path>) -> Result<RootCertStore, PemError> {
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

/// A client that trusts `authorities`, and checks name and certificate of whoever answers.
pub(crate) fn client(authorities: RootCertStore) -> ConfigBuilder<ClientConfig, WantsClientCert> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has suites for the versions that rustls is built with");
    config.with_root_certificates(authorities)
}
