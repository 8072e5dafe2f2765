use std::{ffi::OsString, fmt, path::Path, sync::Arc};

use edge_cache_origin::tls;
use rustls::ClientConfig;

use super::{Address, Dialer};
use crate::exit::UsageError;

/// Whom to believe that a node is what `https://` names, and as whom to come. There is no way to believe everybody.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct TlsArgs {
    /// The authorities that may have signed the certificate of an https:// node, as PEM [default: those that browsers trust]
    #[arg(long, value_name = "FILE", env = "CACHE_PROXY_CA", help_heading = "TLS")]
    ca: Option<OsString>,
    /// A certificate to show to an https:// node that asks for one, as PEM; needs --key
    #[arg(long, value_name = "FILE", env = "CACHE_PROXY_CERT", help_heading = "TLS")]
    cert: Option<OsString>,
    /// The private key of --cert, as PEM
    #[arg(long, value_name = "FILE", env = "CACHE_PROXY_KEY", help_heading = "TLS")]
    key: Option<OsString>,
}

impl TlsArgs {
    /// The way to the node in what `option` of the command line says. The files are read where it is asked by TLS.
    ///
    /// # Errors
    /// What is wrong with the URL, or with which file.
    pub(crate) fn dialer(&self, option: &str, url: &str) -> Result<Dialer, UsageError> {
        let address = Address::parse(option, url)?;
        if !address.is_secure() {
            return Ok(Dialer::plain(address));
        }
        Dialer::secure(address, Arc::new(self.config()?))
            .ok_or_else(|| UsageError(format!("{option} {url}: must have a host that a certificate can name")))
    }

    fn config(&self) -> Result<ClientConfig, UsageError> {
        let authorities = tls::authorities(named(&self.ca)).map_err(|error| wrong("--ca", &self.ca, error))?;
        let client = tls::client(authorities);
        let mut config = match (named(&self.cert), named(&self.key)) {
            (None, None) => client.with_no_client_auth(),
            (Some(cert), Some(key)) => {
                let chain = tls::certificates(cert).map_err(|error| wrong("--cert", &self.cert, error))?;
                let key = tls::key(key).map_err(|error| wrong("--key", &self.key, error))?;
                let shown = client.with_client_auth_cert(chain, key);
                shown.map_err(|error| wrong("--key", &self.key, format_args!("must be the key of --cert: {error}")))?
            }
            (Some(_), None) => return Err(wrong("--cert", &self.cert, "needs its private key: --key FILE")),
            (None, Some(_)) => return Err(wrong("--key", &self.key, "needs its certificate: --cert FILE")),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// A variable of the environment that is empty names nothing.
fn named(file: &Option<OsString>) -> Option<&Path> {
    file.as_deref().filter(|file| !file.is_empty()).map(Path::new)
}

fn wrong(option: &str, file: &Option<OsString>, rule: impl fmt::Display) -> UsageError {
    UsageError(format!("{option} {}: {rule}", named(file).unwrap_or(Path::new("")).display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(args: &TlsArgs) -> String {
        args.dialer("--admin", "https://h").unwrap_err().to_string()
    }

    #[test]
    fn a_certificate_and_its_key_come_together_and_empty_is_not_named() {
        let file = |name: &str| Some(OsString::from(name));
        let none = TlsArgs { ca: file(""), cert: file(""), key: file("") };
        assert_eq!(none.dialer("--admin", "https://h").unwrap().to_string(), "https://h");
        assert_eq!(
            said(&TlsArgs { cert: file("c.pem"), ..none.clone() }),
            "--cert c.pem: needs its private key: --key FILE"
        );
        assert_eq!(
            said(&TlsArgs { key: file("k.pem"), ..none.clone() }),
            "--key k.pem: needs its certificate: --cert FILE"
        );
        let lost = TlsArgs { ca: file("no/such.pem"), ..none };
        assert!(said(&lost).starts_with("--ca no/such.pem: must be a file that can be read: "), "{}", said(&lost));
        assert!(lost.dialer("--admin", "http://h").is_ok(), "in the clear nothing is checked");
    }
}
