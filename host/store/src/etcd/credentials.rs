//! The files that etcd's configuration names, read at every call: a renewed certificate needs no restart, and a bad
//! one is told by its name before a handshake fails for reasons nobody can read.

use std::fs;
use std::path::{Path, PathBuf};

use etcd_client::{Certificate, Identity, TlsOptions};
use jiff::Timestamp;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::validity::valid_until;
use crate::config::{ClientCertificate, EtcdConfig, User};
use crate::error::StoreError;
use files::read_regular;
use limits::CREDENTIAL_BYTES;

const CERT: &str = "etcdCertFile";
const KEY: &str = "etcdKeyFile";
const CA: &str = "etcdTrustedCAFileFile";
const PASSWORD: &str = "etcdPasswordFile";

/// Where distributions keep the authorities they trust, for a cluster with a public certificate.
const SYSTEM_AUTHORITIES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// The certificates of an encrypted connection, each checked so that a bad one is told by its field and file.
pub(super) fn tls(config: &EtcdConfig) -> Result<TlsOptions, StoreError> {
    let now = Timestamp::now();
    let mut tls = TlsOptions::new();
    match &config.trusted_ca {
        Some(ca) => tls = tls.ca_certificate(Certificate::from_pem(certificates(CA, ca, now)?)),
        None => {
            // The client library is built without any authorities of its own.
            if let Some(pem) = SYSTEM_AUTHORITIES.iter().find_map(|path| fs::read(path).ok()) {
                tls = tls.ca_certificate(Certificate::from_pem(pem));
            }
        }
    }
    if let Some(ClientCertificate { cert, key }) = &config.client {
        tls = tls.identity(Identity::from_pem(certificates(CERT, cert, now)?, private_key(key)?));
    }
    Ok(tls)
}

/// The authorities that members are judged by, in PEM.
pub(super) fn authorities(config: &EtcdConfig) -> Option<Vec<u8>> {
    match &config.trusted_ca {
        Some(ca) => read(CA, ca).ok(),
        None => SYSTEM_AUTHORITIES.iter().find_map(|path| fs::read(path).ok()),
    }
}

/// A certificate that the configuration names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatedCertificate {
    pub field: &'static str,
    pub path: PathBuf,
    pub until: Timestamp,
}

/// Until when the certificates of a configuration are valid. Those that cannot be read are left out: every call tells of them.
pub fn dated_certificates(config: &EtcdConfig) -> Vec<DatedCertificate> {
    let client = config.client.as_ref().map(|client| (CERT, &client.cert));
    let named = client.into_iter().chain(config.trusted_ca.as_ref().map(|ca| (CA, ca)));
    let mut certificates = Vec::new();
    for (field, path) in named {
        let Ok(pem) = read(field, path) else { continue };
        let until = CertificateDer::from_pem_slice(&pem).ok().and_then(|certificate| valid_until(&certificate));
        certificates.extend(until.map(|until| DatedCertificate { field, path: path.clone(), until }));
    }
    certificates
}

/// Whether this is what the TLS library says, before anything is sent, of a key that is another certificate's.
pub(super) fn is_mismatch(why: &str) -> bool {
    why.contains("KeyMismatch")
}

/// The error for a key that is another certificate's, with the names of both files.
pub(super) fn mismatch(client: &ClientCertificate) -> StoreError {
    unusable(KEY, &client.key, format!("it is not the key of {CERT} {}", client.cert.display()))
}

/// Name and password, if the cluster tells users apart.
pub(super) fn user(config: &EtcdConfig) -> Result<Option<(String, String)>, StoreError> {
    let Some(User { name, password_file }) = &config.user else { return Ok(None) };
    let Ok(password) = String::from_utf8(read(PASSWORD, password_file)?) else {
        return Err(unusable(PASSWORD, password_file, "it is not text".into()));
    };
    Ok(Some((name.clone(), password.trim_end_matches(['\r', '\n']).to_owned())))
}

fn certificates(field: &'static str, path: &Path, now: Timestamp) -> Result<Vec<u8>, StoreError> {
    let pem = read(field, path)?;
    // All of them are parsed, although the first one alone is looked at: the TLS library takes the whole file.
    let parsed: Result<Vec<CertificateDer>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certificates = parsed.map_err(|error| unusable(field, path, format!("it is not in PEM format: {error}")))?;
    let Some(first) = certificates.first() else {
        return Err(unusable(field, path, "it does not contain a PEM CERTIFICATE".into()));
    };
    // Said here, by name: in a handshake it would be an alert that does not say whose certificate expired.
    match valid_until(first) {
        Some(until) if until < now => Err(unusable(field, path, format!("it expired on {until}"))),
        _ => Ok(pem),
    }
}

fn private_key(path: &Path) -> Result<Vec<u8>, StoreError> {
    let pem = read(KEY, path)?;
    match PrivateKeyDer::from_pem_slice(&pem) {
        Ok(_) => Ok(pem),
        Err(_) => Err(unusable(KEY, path, "it does not contain a PEM PRIVATE KEY without a passphrase".into())),
    }
}

fn read(field: &'static str, path: &Path) -> Result<Vec<u8>, StoreError> {
    read_regular(path, CREDENTIAL_BYTES).map_err(|error| unusable(field, path, error.to_string()))
}

fn unusable(field: &'static str, path: &Path, what: String) -> StoreError {
    StoreError::Credentials { field, path: path.to_owned(), what }
}
