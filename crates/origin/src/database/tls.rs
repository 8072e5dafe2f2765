//! TLS to Postgres: encryption is checked, or there is none.

use std::path::{Path, PathBuf};

use tokio_postgres_rustls::MakeRustlsConnect;

use crate::tls;

const MODES: &str = "must have sslmode disable, require or verify-full; the last two are the same here: certificate and name are checked";
const ROOTS: &str = "must name a PEM file with certificates as its sslrootcert";

/// What a URL says of TLS.
pub(super) struct Wish {
    pub(super) encrypted: bool,
    /// Authorities in place of the public ones.
    pub(super) root_file: Option<PathBuf>,
}

impl Wish {
    /// Takes `sslmode` and `sslrootcert` out of a URL. An `sslmode` that would do without a check is refused rather than taken for more
    /// than it is.
    pub(super) fn take(url: &str) -> Result<(String, Self), &'static str> {
        let mut wish = Self { encrypted: false, root_file: None };
        let Some((head, query)) = url.split_once('?') else { return Ok((url.to_owned(), wish)) };
        let mut others = Vec::new();
        for param in query.split('&') {
            match param.split_once('=') {
                Some(("sslmode", "disable")) => wish.encrypted = false,
                Some(("sslmode", "require" | "verify-full")) => wish.encrypted = true,
                Some(("sslmode", _)) => return Err(MODES),
                Some(("sslrootcert", file)) => wish.root_file = Some(PathBuf::from(file)),
                _ => others.push(param),
            }
        }
        let url = if others.is_empty() { head.to_owned() } else { format!("{head}?{}", others.join("&")) };
        Ok((url, wish))
    }
}

/// A connector that trusts the authorities of `root_file`, else the public ones, and sends the server's name.
pub(super) fn connector(root_file: Option<&Path>) -> Result<MakeRustlsConnect, &'static str> {
    let authorities = tls::authorities(root_file).map_err(|_| ROOTS)?;
    Ok(MakeRustlsConnect::new(tls::client(authorities).with_no_client_auth()))
}
