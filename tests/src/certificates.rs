use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

/// An authority of a test's own. Its files are gone with it.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// PEM file with its certificate.
    pub file: PathBuf,
    folder: TempDir,
}

/// A certificate and its key, as PEM files.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Authority {
    /// A new one, which nobody else trusts.
    ///
    /// # Panics
    /// When there is no place for its files.
    #[must_use]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut params = CertificateParams::new(Vec::new()).expect("no name is a fine list of names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        // Two of one name would be taken for one with a wrong signature.
        let name = folder.path().display().to_string();
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&key).expect("it signs for itself");
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, certificate.pem()).expect("the folder takes files");
        Self { issuer: Issuer::new(params, key), file, folder }
    }

    /// A certificate for `name`, a host or an address.
    ///
    /// # Panics
    /// When it is neither.
    #[must_use]
    pub fn issue(&self, name: &str) -> Issued {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([name.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.issuer).expect("the authority signs");
        let issued = Issued { cert: self.place(name, "cert"), key: self.place(name, "key") };
        std::fs::write(&issued.cert, certificate.pem()).expect("the folder takes files");
        std::fs::write(&issued.key, key.serialize_pem()).expect("the folder takes files");
        issued
    }

    fn place(&self, name: &str, kind: &str) -> PathBuf {
        self.folder.path().join(Path::new(name).with_extension(format!("{kind}.pem")))
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}
