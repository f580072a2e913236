//! Who asks, and for what: from the command line, or from a file.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::ExplainOptions;
use cni::args::Requested;
use cni::{Fail, NAME, is_name};
use ipam::{PodName, Request};
use limits::RECORDED_DECISION;

/// What a runtime would tell of the requester.
pub(super) struct ExplainRequest {
    pub(super) pod: Option<PodName>,
    /// As the runtime passes them; `None` where it passes none and somebody else has to be asked.
    pub(super) annotations: Option<BTreeMap<String, String>>,
    pub(super) addresses: Vec<String>,
    pub(super) interface: String,
    pub(super) node: Option<String>,
    /// Where all this is from, for people.
    pub(super) source: String,
}

/// Why it is not known who asks.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestError {
    #[error("{}: {cause}", file.display())]
    Unreadable { file: PathBuf, cause: io::Error },
    #[error("{} is not a request: {cause}", file.display())]
    NoRequest { file: PathBuf, cause: serde_json::Error },
    #[error("{text:?} is not an address, with or without /prefix")]
    NoAddress { text: String },
}

impl Fail for RequestError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NoAddress { .. } => None,
            Self::Unreadable { .. } | Self::NoRequest { .. } => Some(
                "name a file with a decision as policy.record writes it, or with {\"request\": {\"attachment\": …, \"pod\": \
                 …}}"
                    .to_owned(),
            ),
        }
    }
}

impl ExplainRequest {
    pub(super) fn read(options: &ExplainOptions) -> Result<Self, RequestError> {
        let mut asked = match &options.request {
            Some(file) => Self::of_file(file)?,
            None => Self {
                pod: options.pod.clone(),
                annotations: None,
                addresses: Vec::new(),
                interface: options.interface.clone(),
                node: None,
                source: "the command line".to_owned(),
            },
        };
        if !options.annotations.is_empty() {
            asked.annotations.get_or_insert_default().extend(options.annotations.iter().cloned());
        }
        if let (Some(pod), Some(uid)) = (&mut asked.pod, &options.uid) {
            pod.uid = Some(uid.clone());
        }
        asked.addresses.extend(options.addresses.iter().cloned());
        asked.node = options.node.clone().or(asked.node);
        match asked.addresses.iter().find(|text| Requested::parse(text).is_none()) {
            Some(text) => Err(RequestError::NoAddress { text: text.clone() }),
            None => Ok(asked),
        }
    }

    fn of_file(file: &Path) -> Result<Self, RequestError> {
        let unreadable = |cause| RequestError::Unreadable { file: file.to_owned(), cause };
        let bytes = files::read_regular(file, RECORDED_DECISION as u64).map_err(unreadable)?;
        let request =
            parse_request(&bytes).map_err(|cause| RequestError::NoRequest { file: file.to_owned(), cause })?;
        let Request { attachment, node, pod, annotations, requested, .. } = request;
        let (pod, annotations) = match pod {
            Some(pod) => (Some(pod.name), pod.annotations),
            None => (None, annotations),
        };
        Ok(Self {
            pod,
            annotations: Some(annotations),
            addresses: requested.iter().map(ToString::to_string).collect(),
            interface: attachment.interface,
            node: Some(node).filter(|node| !node.is_empty()),
            source: file.display().to_string(),
        })
    }
}

/// A request alone, or the one of a decision. What is said of ranges does not count, so that it may be left out.
fn parse_request(bytes: &[u8]) -> Result<Request, serde_json::Error> {
    let mut written: Value = serde_json::from_slice(bytes)?;
    let mut request = match written.get_mut("request") {
        Some(request) => request.take(),
        None => written,
    };
    if let Some(fields) = request.as_object_mut() {
        fields.insert("rangeSets".to_owned(), json!({"ranges": []}));
    }
    serde_json::from_value(request)
}

pub(super) fn parse_pod(text: &str) -> Result<PodName, String> {
    match text.split_once('/') {
        Some((namespace, name)) if is_name(namespace) && is_name(name) => {
            Ok(PodName { namespace: namespace.to_owned(), name: name.to_owned(), uid: None, cluster: None })
        }
        _ => Err(format!("expected NAMESPACE/POD, each {NAME}")),
    }
}

pub(super) fn parse_annotation(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_with_and_without_its_decision() {
        let request = json!({"attachment": {"network": "blue", "container": "c1", "interface": "net1"},
            "pod": {"namespace": "shop", "name": "web", "annotations": {"kube-ipam.ip": "10.0.0.9"}}, "requested": ["10.0.0.7"]});
        for written in [request.clone(), json!({"request": request, "settings": {}})] {
            let read = parse_request(written.to_string().as_bytes()).unwrap();
            assert_eq!((read.attachment.interface.as_str(), read.requested.len()), ("net1", 1));
        }
        assert!(parse_request(b"{}").is_err() && parse_request(b"[").is_err());
    }

    #[test]
    fn a_pod_has_a_namespace() {
        assert_eq!(parse_pod("shop/web-0").unwrap().to_string(), "shop/web-0");
        for text in ["web-0", "/web", "shop/", "a/b/c"] {
            assert!(parse_pod(text).unwrap_err().starts_with("expected NAMESPACE/POD"), "{text}");
        }
    }
}
