//! Which store keeps the allocations, and how to reach it.

use std::path::PathBuf;

use ::store::{ClientCertificate, EtcdConfig, StoreConfig, User};

use super::error::Error;
use super::field::{self, given, stated, stated_text, wrong};
use cni::netconf::{self, Ipam};

/// Where the embedded store and compiled policies live unless told otherwise.
pub const DEFAULT_DATA_DIR: &str = "/var/lib/cni/kube-ipam";

pub(super) fn read_store(ipam: &Ipam) -> Result<StoreConfig, Error> {
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
    let prefix = ipam.etcd_config.value().map(|etcd| &etcd.prefix);
    let prefix =
        prefix.map(|prefix| stated_text(prefix, "ipam.etcdConfig.etcdPrefix", "all keys lie under /kube-ipam"));
    [
        stated(&ipam.etcd_config, "ipam.etcdConfig", "the embedded store keeps the addresses").err(),
        prefix.and_then(Result::err),
        stated_text(&ipam.data_dir, "ipam.dataDir", "the directory is /var/lib/cni/kube-ipam").err(),
        stated_text(&ipam.domain, "ipam.domain", "the domain is called like the network").err(),
    ]
}

pub(super) fn data_dir(ipam: &Ipam) -> Result<PathBuf, Error> {
    let given = field::optional_path("ipam.dataDir", ipam.data_dir.value())?;
    Ok(given.unwrap_or_else(|| PathBuf::from(DEFAULT_DATA_DIR)))
}

/// Where on this node the network may have kept its addresses before: in `dataDir` until `etcdConfig` was added, in the
/// default directory until `dataDir` was. A `dataDir` that cannot be used is for an ADD to complain about.
pub(super) fn earlier_dirs(ipam: &Ipam, store: &StoreConfig) -> Vec<PathBuf> {
    let mut dirs = vec![data_dir(ipam).unwrap_or_default(), PathBuf::from(DEFAULT_DATA_DIR)];
    dirs.dedup();
    dirs.retain(|dir| dir.is_absolute() && !matches!(store, StoreConfig::Embedded { dir: own } if own == dir));
    dirs
}

fn read_etcd(etcd: &netconf::EtcdConfig, notes: Option<PathBuf>) -> Result<EtcdConfig, Error> {
    let file = |key: &str, held| field::optional_path(&format!("ipam.etcdConfig.{key}"), held);
    let trusted_ca = file("etcdTrustedCAFileFile", etcd.trusted_ca_file.as_ref())?;
    let client = both(
        (file("etcdCertFile", etcd.cert_file.as_ref())?, "etcdCertFile", "the certificate that belongs to etcdKeyFile"),
        (file("etcdKeyFile", etcd.key_file.as_ref())?, "etcdKeyFile", "the key that belongs to etcdCertFile"),
    )?;
    let user = both(
        (given(etcd.username.as_ref()).map(str::to_owned), "etcdUsername", "the user of etcdPasswordFile"),
        (
            file("etcdPasswordFile", etcd.password_file.as_ref())?,
            "etcdPasswordFile",
            "the file with the password of etcdUsername",
        ),
    )?;
    Ok(EtcdConfig {
        endpoints: endpoints(etcd.url.as_deref(), trusted_ca.is_some() || client.is_some())?,
        trusted_ca,
        client: client.map(|(cert, key)| ClientCertificate { cert, key }),
        user: user.map(|(name, password_file)| User { name, password_file }),
        notes,
        prefix: prefix(etcd)?,
    })
}

/// What a field holds, its key, and what it should hold.
type Half<T> = (Option<T>, &'static str, &'static str);

/// Either of two fields is useless without the other.
fn both<A, B>(one: Half<A>, two: Half<B>) -> Result<Option<(A, B)>, Error> {
    let missing = |key, expected| Err(Error::Missing { path: format!("ipam.etcdConfig.{key}"), expected });
    match (one.0, two.0) {
        (Some(one), Some(two)) => Ok(Some((one, two))),
        (None, None) => Ok(None),
        (None, Some(_)) => missing(one.1, one.2),
        (Some(_), None) => missing(two.1, two.2),
    }
}

/// An endpoint without a scheme is what Go clients accept, too: certificates decide.
fn endpoints(url: Option<&str>, has_certificates: bool) -> Result<Vec<String>, Error> {
    let path = "ipam.etcdConfig.etcdURL";
    let expected = "a comma-separated list such as https://10.0.0.1:2379,https://10.0.0.2:2379";
    let Some(url) = url else { return Err(Error::Missing { path: path.to_owned(), expected }) };
    let scheme = if has_certificates { "https" } else { "http" };
    let endpoint = |text: &str| match text.split_once("://") {
        None if is_authority(text) => Some(format!("{scheme}://{text}")),
        Some(("http" | "https", rest)) if is_authority(rest) => Some(text.trim_end_matches('/').to_owned()),
        _ => None,
    };
    let entries = url.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    let endpoints: Option<Vec<_>> = entries.map(endpoint).collect();
    let endpoints = endpoints.filter(|all| !all.is_empty()).ok_or_else(|| wrong(path, url, expected))?;
    field::at_most(path, endpoints.len(), limits::ETCD_ENDPOINTS)?;
    Ok(endpoints)
}

fn is_authority(text: &str) -> bool {
    let text = text.trim_end_matches('/');
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || ".-_:[]%".contains(c))
}

fn prefix(etcd: &netconf::EtcdConfig) -> Result<String, Error> {
    let held = given(etcd.prefix.value()).unwrap_or(EtcdConfig::DEFAULT_PREFIX);
    let prefix = held.trim_end_matches('/');
    if prefix.starts_with('/') && !prefix.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Ok(prefix.to_owned());
    }
    Err(wrong("ipam.etcdConfig.etcdPrefix", held, "a path that begins with a slash, such as /kube-ipam"))
}
