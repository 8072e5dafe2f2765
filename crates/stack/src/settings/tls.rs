use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{ListenSettings, SettingsError};

/// `[tls]`: the certificate that is shown where TLS is spoken, and whose is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsSettings {
    /// PEM file of the certificate, and of those between it and an authority. Read again at SIGHUP. Default: none.
    pub cert_file: PathBuf,
    /// PEM file of its key. Default: none.
    pub key_file: PathBuf,
    /// PEM file of authorities: an operator with a certificate by one of them needs no token. Default: none.
    pub admin_client_ca_file: PathBuf,
}

impl TlsSettings {
    pub(super) fn validate(&self, listen: &ListenSettings) -> Result<(), SettingsError> {
        let files = [("tls.cert_file", &self.cert_file), ("tls.key_file", &self.key_file)];
        if let Some((key, place)) = listen.over_tls()
            && let Some((empty, _)) = files.iter().find(|(_, file)| file.as_os_str().is_empty())
        {
            let rule = format!("must name a PEM file: {key} = \"{place}\" needs a certificate");
            return Err(SettingsError::rule(empty, "\"\"", rule));
        }
        if !self.admin_client_ca_file.as_os_str().is_empty() && !listen.admin.starts_with("https://") {
            let rule = "needs listen.admin = \"https://ADDRESS:PORT\": certificates are shown over TLS only";
            let file = format!("\"{}\"", self.admin_client_ca_file.display());
            return Err(SettingsError::rule("tls.admin_client_ca_file", file, rule));
        }
        Ok(())
    }
}
