//! The files that etcd's configuration names, read at every call: a renewed certificate needs no restart, and a bad
//! one is told by its name before a handshake fails for reasons nobody can read.

use std::fs;
use std::path::{Path, PathBuf};

use etcd_client::{Certificate, Identity, TlsOptions};
use jiff::Timestamp;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::Options;
use super::validity::valid_until;
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

/// What an encrypted connection takes.
pub(super) fn tls(options: &Options) -> Result<TlsOptions, StoreError> {
    let now = Timestamp::now();
    let mut tls = TlsOptions::new();
    match &options.ca {
        Some(ca) => tls = tls.ca_certificate(Certificate::from_pem(certificates(CA, ca, now)?)),
        None => {
            if let Some(pem) = SYSTEM_AUTHORITIES.iter().find_map(|path| fs::read(path).ok()) {
                tls = tls.ca_certificate(Certificate::from_pem(pem));
            }
        }
    }
    match (&options.cert, &options.key) {
        (Some(cert), Some(key)) => {
            tls = tls.identity(Identity::from_pem(certificates(CERT, cert, now)?, private_key(key)?));
        }
        (Some(cert), None) => return Err(unusable(CERT, cert, "there is no etcdKeyFile for it".into())),
        (None, Some(key)) => return Err(unusable(KEY, key, "there is no etcdCertFile for it".into())),
        (None, None) => {}
    }
    Ok(tls)
}

/// Whether this is what the TLS library says, before anything is sent, of a key that is another certificate's.
pub(super) fn is_mismatch(why: &str) -> bool {
    why.contains("KeyMismatch")
}

/// That, with the names of the files.
pub(super) fn mismatch(options: &Options) -> StoreError {
    let path = |file: &Option<PathBuf>| file.clone().unwrap_or_default();
    let what = format!("it is not the key of {CERT} {}", path(&options.cert).display());
    StoreError::Credentials { field: KEY, path: path(&options.key), what }
}

/// Name and password, if the cluster tells users apart.
pub(super) fn user(options: &Options) -> Result<Option<(String, String)>, StoreError> {
    let Some(name) = &options.username else { return Ok(None) };
    let password = match &options.password_file {
        Some(path) => {
            let bytes = read(PASSWORD, path)?;
            let text = String::from_utf8(bytes).map_err(|_| unusable(PASSWORD, path, "it is not text".into()))?;
            text.trim_end_matches(['\r', '\n']).to_owned()
        }
        None => String::new(),
    };
    Ok(Some((name.clone(), password)))
}

fn certificates(field: &'static str, path: &Path, now: Timestamp) -> Result<Vec<u8>, StoreError> {
    let pem = read(field, path)?;
    let parsed: Result<Vec<CertificateDer>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let parsed = parsed.map_err(|error| unusable(field, path, format!("it is not in PEM format: {error}")))?;
    let Some(first) = parsed.first() else {
        return Err(unusable(field, path, "it does not contain a PEM CERTIFICATE".into()));
    };
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
