//! A certificate authority, and an etcd that trusts it alone.

use std::fs;
use std::path::PathBuf;

use rcgen::{BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};

use super::*;
use crate::ClientCertificate;

/// An authority, and the files it made.
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: tempfile::TempDir,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let authority = Self { issuer, dir: tempfile::tempdir().unwrap() };
        authority.write("ca.pem", &authority.issuer.pem());
        authority.issue("server", 2999);
        authority.issue("client", 2999);
        authority
    }

    pub(super) fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `NAME.pem` and `NAME.key` for loopback, valid until a year.
    pub(super) fn issue(&self, name: &str, until: i32) {
        self.issue_for(name, &["127.0.0.1", "localhost"], until);
    }

    /// The same for other hosts.
    pub(super) fn issue_for(&self, name: &str, hosts: &[&str], until: i32) {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        params.not_after = date_time_ymd(until, 5, 6);
        let key = KeyPair::generate().unwrap();
        let certificate: Certificate = params.signed_by(&key, &self.issuer).unwrap();
        self.write(&format!("{name}.pem"), &certificate.pem());
        self.write(&format!("{name}.key"), &key.serialize_pem());
    }

    /// A server that answers those alone who show a certificate of this authority.
    pub(super) fn server(&self) -> Server {
        self.server_with("server")
    }

    /// The same with another certificate of its own.
    pub(super) fn server_with(&self, name: &str) -> Server {
        let path = |name: &str| self.path(name).display().to_string();
        let (cert, key, ca) = (path(&format!("{name}.pem")), path(&format!("{name}.key")), path("ca.pem"));
        let files = ["--cert-file", &cert, "--key-file", &key, "--trusted-ca-file", &ca];
        Server::start_as("etcd".as_ref(), "https", &[&files[..], &["--client-cert-auth"]].concat())
    }

    pub(super) fn config(&self, server: &Server) -> EtcdConfig {
        EtcdConfig {
            trusted_ca: Some(self.path("ca.pem")),
            client: Some(self.client("client.pem", "client.key")),
            ..at(&[&server.url()])
        }
    }

    pub(super) fn client(&self, cert: &str, key: &str) -> ClientCertificate {
        ClientCertificate { cert: self.path(cert), key: self.path(key) }
    }
}
