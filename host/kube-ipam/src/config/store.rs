//! Which store keeps the allocations, and how to reach it.

use std::path::{Path, PathBuf};

use ::store::{ClientCertificate, EtcdConfig, StoreConfig, User};

use super::error::Error;
use super::field::{Held, at_most, stated, stated_text, wrong};
use cni::netconf::{self, Ipam};

/// Where the embedded store and compiled policies live unless told otherwise.
pub const DEFAULT_DATA_DIR: &str = "/var/lib/cni/kube-ipam";

pub(crate) const DATA_DIR: &str = "ipam.dataDir";
const URL: &str = "ipam.etcdConfig.etcdURL";
const PREFIX: &str = "ipam.etcdConfig.etcdPrefix";
const TRUSTED_CA: &str = "ipam.etcdConfig.etcdTrustedCAFileFile";
const CERT: &str = "ipam.etcdConfig.etcdCertFile";
const KEY: &str = "ipam.etcdConfig.etcdKeyFile";
const USERNAME: &str = "ipam.etcdConfig.etcdUsername";
const PASSWORD: &str = "ipam.etcdConfig.etcdPasswordFile";

pub(super) fn read_store(ipam: &Ipam) -> Result<StoreConfig, Error> {
    // With etcd the directory is only for notes about its members: one that cannot be used costs an ADD its notes.
    match ipam.etcd_config.value() {
        Some(etcd) => read_etcd(etcd, data_dir(ipam).ok()).map(StoreConfig::Etcd),
        None => data_dir(ipam).map(|dir| StoreConfig::Embedded { dir }),
    }
}

/// `null` and empty texts come out of a template whose value was forgotten. They must not make every node a store of its own,
/// nor two networks one; that a DEL looks in the store that is the default then does no harm, because nothing was given out.
///
/// Certificates, user and password do not decide which store it is, and kube-ipam 0.x left them empty for `http://`.
pub(super) fn check_stated(ipam: &Ipam) -> [Option<Error>; 4] {
    let etcd = ipam.etcd_config.value();
    [
        stated(&ipam.etcd_config, "ipam.etcdConfig", "the embedded store keeps the addresses").err(),
        etcd.and_then(|etcd| stated_text(&etcd.prefix, PREFIX, "all keys lie under /kube-ipam").err()),
        stated_text(&ipam.data_dir, DATA_DIR, "the directory is /var/lib/cni/kube-ipam").err(),
        stated_text(&ipam.domain, "ipam.domain", "the domain is called like the network").err(),
    ]
}

pub(super) fn data_dir(ipam: &Ipam) -> Result<PathBuf, Error> {
    let given = file(DATA_DIR, ipam.data_dir.value())?;
    Ok(given.unwrap_or_else(|| PathBuf::from(DEFAULT_DATA_DIR)))
}

fn file(path: &str, field: Option<&String>) -> Result<Option<PathBuf>, Error> {
    Held::given(path, field).map(|held| held.absolute_path()).transpose()
}

/// Where on this node the network may have kept its addresses before: in `dataDir` until `etcdConfig` was added, in the
/// default directory until `dataDir` was. A `dataDir` that cannot be used is for an ADD to complain about.
pub(super) fn earlier_dirs(ipam: &Ipam, store: &StoreConfig) -> Vec<PathBuf> {
    let mut dirs = vec![data_dir(ipam).unwrap_or_default(), PathBuf::from(DEFAULT_DATA_DIR)];
    dirs.dedup();
    dirs.retain(|dir| dir.is_absolute() && !matches!(store, StoreConfig::Embedded { dir: own } if own == dir));
    dirs
}

/// The files that a connection to etcd reads, each with the field that names it.
pub(crate) fn files_of(etcd: &EtcdConfig) -> Vec<(&'static str, &Path)> {
    let mut files = Vec::new();
    if let Some(trusted_ca) = &etcd.trusted_ca {
        files.push((TRUSTED_CA, trusted_ca.as_path()));
    }
    if let Some(ClientCertificate { cert, key }) = &etcd.client {
        files.extend([(CERT, cert.as_path()), (KEY, key.as_path())]);
    }
    if let Some(user) = &etcd.user {
        files.push((PASSWORD, user.password_file.as_path()));
    }
    files
}

fn read_etcd(etcd: &netconf::EtcdConfig, notes: Option<PathBuf>) -> Result<EtcdConfig, Error> {
    let trusted_ca = file(TRUSTED_CA, etcd.trusted_ca_file.as_ref())?;
    let client = both(
        (file(CERT, etcd.cert_file.as_ref())?, CERT, "the certificate that belongs to etcdKeyFile"),
        (file(KEY, etcd.key_file.as_ref())?, KEY, "the key that belongs to etcdCertFile"),
    )?;
    let name = Held::given(USERNAME, etcd.username.as_ref()).map(|held| held.text.to_owned());
    let user = both(
        (name, USERNAME, "the user of etcdPasswordFile"),
        (file(PASSWORD, etcd.password_file.as_ref())?, PASSWORD, "the file with the password of etcdUsername"),
    )?;
    Ok(EtcdConfig {
        endpoints: endpoints(etcd.url.as_ref(), trusted_ca.is_some() || client.is_some())?,
        trusted_ca,
        client: client.map(|(cert, key)| ClientCertificate { cert, key }),
        user: user.map(|(name, password_file)| User { name, password_file }),
        notes,
        prefix: prefix(etcd)?,
    })
}

/// What a field holds, its path, and what it should hold.
type Half<T> = (Option<T>, &'static str, &'static str);

/// Either of two fields is useless without the other.
fn both<A, B>(one: Half<A>, two: Half<B>) -> Result<Option<(A, B)>, Error> {
    let (path, expected) = match (one.0, two.0) {
        (Some(one), Some(two)) => return Ok(Some((one, two))),
        (None, None) => return Ok(None),
        (None, Some(_)) => (one.1, one.2),
        (Some(_), None) => (two.1, two.2),
    };
    Err(Error::Missing { path: path.to_owned(), expected })
}

fn endpoints(url: Option<&String>, has_certificates: bool) -> Result<Vec<String>, Error> {
    let expected = "a comma-separated list such as https://10.0.0.1:2379,https://10.0.0.2:2379";
    let Some(url) = url else { return Err(Error::Missing { path: URL.to_owned(), expected }) };
    // An endpoint without a scheme is what Go clients accept, too: certificates decide.
    let scheme = if has_certificates { "https" } else { "http" };
    let mut endpoints = Vec::new();
    for entry in url.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        match entry.split_once("://") {
            None if is_authority(entry) => endpoints.push(format!("{scheme}://{entry}")),
            Some(("http" | "https", rest)) if is_authority(rest) => {
                endpoints.push(entry.trim_end_matches('/').to_owned());
            }
            _ => return Err(wrong(URL, url, expected)),
        }
    }
    if endpoints.is_empty() {
        return Err(wrong(URL, url, expected));
    }
    at_most(URL, endpoints.len(), limits::ETCD_ENDPOINTS)?;
    Ok(endpoints)
}

fn is_authority(text: &str) -> bool {
    let text = text.trim_end_matches('/');
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || ".-_:[]%".contains(c))
}

fn prefix(etcd: &netconf::EtcdConfig) -> Result<String, Error> {
    let Some(held) = Held::given(PREFIX, etcd.prefix.value()) else {
        return Ok(EtcdConfig::DEFAULT_PREFIX.to_owned());
    };
    let prefix = held.text.trim_end_matches('/');
    if prefix.starts_with('/') && !prefix.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Ok(prefix.to_owned());
    }
    Err(held.wrong("a path that begins with a slash, such as /kube-ipam"))
}
