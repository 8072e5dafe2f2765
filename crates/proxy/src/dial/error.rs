use std::{io, time::Duration};

use edge_cache_core::BoxError;
use rustls::{AlertDescription, InvalidMessage};

/// Why a node cannot be spoken to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    #[error(transparent)]
    Tcp(BoxError),
    #[error("no connection within {0:?}")]
    TooSlow(Duration),
    /// Whoever answered is not who was asked for.
    #[error("its certificate is not accepted (trusted are the public authorities, or else those of --ca)")]
    Untrusted(#[source] io::Error),
    #[error("it does not answer by TLS: http:// may be right")]
    SpeaksNoTls(#[source] io::Error),
    #[error("it answers by TLS: https:// would be right")]
    SpeaksTls,
    /// The node wants to know who asks.
    #[error("it wants a certificate that it accepts: see --cert and --key")]
    Unwelcome(#[source] io::Error),
    #[error("no TLS with it")]
    Handshake(#[source] io::Error),
}

impl DialError {
    /// Why a connection did not become an encrypted one.
    pub(super) fn of_handshake(error: io::Error) -> Self {
        match tls_error(&error) {
            Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => {
                Self::Untrusted(error)
            }
            Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => Self::SpeaksNoTls(error),
            _ if is_unwelcome(&error) => Self::Unwelcome(error),
            _ => Self::Handshake(error),
        }
    }
}

/// Whether the other end does not like the certificate that was shown to it, or that there was none. TLS 1.3 tells that after the handshake.
pub(super) fn is_unwelcome(error: &io::Error) -> bool {
    use AlertDescription as Alert;
    let Some(rustls::Error::AlertReceived(alert)) = tls_error(error) else { return false };
    matches!(
        alert,
        Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::DecryptError
            | Alert::AccessDenied
            | Alert::CertificateRequired
    )
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}
