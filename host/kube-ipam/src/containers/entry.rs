//! One file of libcni's cache, as its versions write it.
//!
//! From version 0.8 on, a file is an object of kind `cniCacheV1` with everything that the ADD was called with, and its
//! result. Before, a file was the bare result, and only its name said whose: `<network>-<container>-<interface>`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::{Container, Life};
use cni::Args;
use cni::args::address;
use ipam::address::{parse_address, parse_subnet};
use ipam::{Assignment, Attachment, Kind, PodName};

/// What libcni calls the format.
const CACHE_V1: &str = "cniCacheV1";

/// The capability by which runtimes pass a pod's annotations.
const ANNOTATIONS: &str = "io.kubernetes.cri.pod-annotations";

/// The annotation by which a pod names its address.
const IP: &str = "kube-ipam.ip";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cached {
    kind: Option<String>,
    #[serde(default)]
    container_id: String,
    #[serde(default)]
    if_name: String,
    #[serde(default)]
    network_name: String,
    netns: Option<PathBuf>,
    cni_args: Option<Vec<(String, String)>>,
    capability_args: Option<BTreeMap<String, Value>>,
    result: Option<CachedResult>,
}

/// The addresses in the result of an ADD: `ips`, or in CNI versions before 0.3.0 `ip4` and `ip6`.
#[derive(Default, Deserialize)]
struct CachedResult {
    ips: Option<Vec<Listed>>,
    ip4: Option<OfFamily>,
    ip6: Option<OfFamily>,
}

#[derive(Deserialize)]
struct Listed {
    address: String,
    gateway: Option<String>,
}

#[derive(Deserialize)]
struct OfFamily {
    ip: String,
    gateway: Option<String>,
}

/// Reads a file. `None` if it is not a regular file, or is gone; an error says why the text cannot be understood.
pub(super) fn read(file: &Path) -> Result<Option<Container>, String> {
    let metadata = match fs::metadata(file) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    if !metadata.is_file() {
        return Ok(None);
    }
    let text = match fs::read(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let written = metadata.modified().map_err(|error| error.to_string())?;
    let cached: Cached = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    let cached = match cached.kind.as_deref() {
        Some(CACHE_V1) => cached,
        Some(kind) => return Err(format!("its kind is {kind:?}, and only {CACHE_V1:?} is known")),
        None => bare(file, &text)?,
    };
    let Cached { container_id: container, if_name: interface, network_name: network, .. } = &cached;
    if container.is_empty() || interface.is_empty() || network.is_empty() {
        return Err("it does not name its container, interface and network".to_owned());
    }
    let attachment =
        Attachment { network: network.clone(), container: container.clone(), interface: interface.clone() };
    let (pod, asked) = pod_of(&cached);
    let named = named_by(&cached, &attachment, asked);
    let mut addresses = addresses_of(cached.result.unwrap_or_default())?;
    for assignment in addresses.iter_mut().filter(|assignment| named.contains(&assignment.address)) {
        assignment.kind = Kind::Fixed;
    }
    Ok(Some(Container {
        attachment,
        pod,
        addresses,
        life: cached.netns.map_or(Life::Unsure, Life::Has),
        written,
        file: file.to_owned(),
    }))
}

/// A bare result. A network's name may have hyphens, but the runtimes of that time had none in IDs of containers and names of
/// interfaces, so that the name is read from its end.
fn bare(file: &Path, text: &[u8]) -> Result<Cached, String> {
    let result: CachedResult = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    if result.ips.is_none() && result.ip4.is_none() && result.ip6.is_none() {
        return Err("it is not the result of an ADD".to_owned());
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut parts = name.rsplitn(3, '-').map(str::to_owned);
    let (interface, container, network) = (parts.next(), parts.next(), parts.next());
    Ok(Cached {
        kind: None,
        container_id: container.unwrap_or_default(),
        if_name: interface.unwrap_or_default(),
        network_name: network.unwrap_or_default(),
        netns: None,
        cni_args: None,
        capability_args: None,
        result: Some(result),
    })
}

/// The pod, and the addresses that the runtime asked for. Arguments for other plugins are ignored here, or a container with
/// such arguments would seem to be gone.
fn pod_of(cached: &Cached) -> (Option<PodName>, Vec<IpAddr>) {
    let mut text = "IgnoreUnknown=1".to_owned();
    for (key, value) in cached.cni_args.iter().flatten() {
        text.push_str(&format!(";{key}={value}"));
    }
    let args = Args::parse(&text).unwrap_or_default();
    (args.pod(), args.addresses.iter().map(|asked| asked.address).collect())
}

/// The addresses that the pod asked for, by annotation or through the runtime. These are fixed; all others are dynamic.
fn named_by(cached: &Cached, attachment: &Attachment, asked: Vec<IpAddr>) -> Vec<IpAddr> {
    let mut named = asked;
    let Some(capabilities) = &cached.capability_args else { return named };
    for wanted in capabilities.get("ips").and_then(Value::as_array).into_iter().flatten() {
        named.extend(wanted.as_str().and_then(address));
    }
    let Attachment { network, interface, .. } = attachment;
    let forms = [format!("{IP}.{network}.{interface}"), format!("{IP}.{network}"), IP.to_owned()];
    let annotations = capabilities.get(ANNOTATIONS);
    let list = forms.iter().find_map(|form| annotations?.get(form));
    for wanted in list.and_then(Value::as_str).unwrap_or_default().split(',') {
        named.extend(address(wanted));
    }
    named
}

fn addresses_of(result: CachedResult) -> Result<Vec<Assignment>, String> {
    let mut addresses = Vec::new();
    for listed in result.ips.into_iter().flatten() {
        addresses.push(assignment(&listed.address, listed.gateway.as_deref())?);
    }
    for of_family in [result.ip4, result.ip6].into_iter().flatten() {
        addresses.push(assignment(&of_family.ip, of_family.gateway.as_deref())?);
    }
    Ok(addresses)
}

fn assignment(text: &str, gateway: Option<&str>) -> Result<Assignment, String> {
    // A bare address is alone in its subnet.
    let subnet = parse_subnet(text.trim()).ok_or_else(|| format!("{text:?} is not an address"))?;
    Ok(Assignment {
        address: subnet.ip(),
        prefix_length: subnet.prefix(),
        gateway: gateway.and_then(parse_address),
        kind: Kind::Dynamic,
        hold: None,
        slot: None,
        why: None,
    })
}
