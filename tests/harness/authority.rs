//! An authority that signs the certificates of a test's servers and clients.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};

/// A certificate authority, and the directory its files are in.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: PathBuf,
}

impl Authority {
    /// Writes its own certificate, and `server` and `client` with their keys.
    pub fn new(directory: &Path) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let authority = Self { issuer, directory: directory.to_owned() };
        std::fs::write(authority.certificate(), authority.issuer.pem()).unwrap();
        authority.issue("server", 2999);
        authority.issue("client", 2999);
        authority
    }

    /// Write `NAME.pem` and `NAME.key` for loopback, valid until 6 May of a year.
    pub fn issue(&self, name: &str, until: i32) {
        self.issue_for(name, until, &["127.0.0.1", "localhost"]);
    }

    /// The same, not valid before 6 May of a year either.
    pub fn issue_between(&self, name: &str, since: i32, until: i32) {
        self.write(name, since, until, &["127.0.0.1", "localhost"]);
    }

    /// The same for other addresses and names.
    pub fn issue_for(&self, name: &str, until: i32, hosts: &[&str]) {
        self.write(name, 1975, until, hosts);
    }

    fn write(&self, name: &str, since: i32, until: i32, hosts: &[&str]) {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        params.not_before = date_time_ymd(since, 5, 6);
        params.not_after = date_time_ymd(until, 5, 6);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(self.path(&format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }

    /// Its own certificate.
    pub fn certificate(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// One of its files.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("directory", &self.directory).finish_non_exhaustive()
    }
}
