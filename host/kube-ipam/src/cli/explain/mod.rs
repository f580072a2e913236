//! `kube-ipam explain`: what an ADD of a pod would come to now, and by which steps. The steps are an ADD's own; nothing is
//! claimed.

mod report;
mod request;

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::network::{NetworkArgs, Opened};
use super::output::{CommandError, Done, Format, Output};
use crate::config::{Base, Network};
use crate::runtime;
use crate::verbs::{self, Rehearsal, rehearse};
use cluster::ApiServer;
use cni::args::Requested;
use cni::{Args as CniArgs, Container, NetConf, Verb};
use ipam::{Allocation, Claim, PodName};
use report::{Explanation, rendered};
use request::{ExplainRequest, parse_annotation, parse_pod};
use store::AllocationFilter;

/// The container that an ADD is rehearsed for: a sandbox that the pod does not have yet.
const CONTAINER: &str = "kube-ipam-explain";

#[derive(Args, Debug)]
#[command(
    after_help = "Nothing is claimed and nothing is written. REQUEST is a decision as policy.record writes it, or a part of \
    one; its ranges, settings and snapshot do not count, those of the network do.\n\nExamples:\n  kube-ipam explain shop/web-0\n  \
    kube-ipam explain shop/web-0 --annotation kube-ipam.ip=10.0.0.9\n  kube-ipam explain --request request.json -o json"
)]
pub(crate) struct ExplainOptions {
    /// The pod, which need not exist
    #[arg(value_name = "NAMESPACE/POD", required_unless_present = "request", value_parser = parse_pod)]
    pod: Option<PodName>,
    /// Who asks, and for what, from this file
    #[arg(long, value_name = "REQUEST", conflicts_with = "pod")]
    request: Option<PathBuf>,
    /// An annotation of the pod, as if the runtime had passed it; the API server is not asked for others then
    #[arg(long = "annotation", value_name = "NAME=VALUE", value_parser = parse_annotation)]
    annotations: Vec<(String, String)>,
    /// An address that the runtime asks for
    #[arg(long = "ip", value_name = "ADDRESS")]
    addresses: Vec<String>,
    /// The uid of the pod. Default: that of the pod of this name, as far as it is known
    #[arg(long)]
    uid: Option<String>,
    /// The interface in the pod
    #[arg(long, value_name = "NAME", default_value = "eth0")]
    interface: String,
    /// The node that the pod is on. Default: this node
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
}

/// The exit code is 0 where every network that was asked would give the pod its addresses.
pub(crate) fn explain(options: &ExplainOptions, network: &NetworkArgs, format: Format) -> Done {
    let asked = ExplainRequest::read(options)?;
    let mut explanations = Vec::new();
    for opened in network.read_each()? {
        explanations.push(runtime::block_on(explain_in(&opened, &asked))?);
    }
    let exit = u8::from(explanations.iter().any(Explanation::is_refused));
    let text = match format {
        Format::Json => serde_json::to_string_pretty(&explanations)?,
        Format::Table => explanations.iter().map(rendered).collect::<Vec<_>>().join("\n\n"),
    };
    Ok(Output { text, exit })
}

async fn explain_in(opened: &Opened, asked: &ExplainRequest) -> Result<Explanation, CommandError> {
    let mut base = opened.base.clone();
    if let Some(node) = &asked.node {
        // Of another node neither the machine nor its notes are known here.
        if *node != base.node {
            base.machine.clear();
        }
        (base.node, base.node_given) = (node.clone(), true);
    }
    let held = held_by(opened, asked.pod.as_ref()).await?;
    let pod = match &asked.pod {
        Some(pod) => Some(with_uid(opened, pod.clone(), &held).await),
        None => None,
    };
    let mut explanation = Explanation::new(opened, &base, asked, pod.as_ref(), held);
    let (rehearsal, outcome) = rehearsed(opened, &base, asked, pod).await;
    explanation.learn(rehearsal, outcome);
    Ok(explanation)
}

/// What the pod holds in this network, or its older containers.
async fn held_by(opened: &Opened, pod: Option<&PodName>) -> Result<Vec<Allocation>, CommandError> {
    let Some(PodName { namespace, name, .. }) = pod else { return Ok(Vec::new()) };
    let filter = AllocationFilter { pod: Some((namespace.clone(), name.clone())), ..AllocationFilter::default() };
    let mut listing = opened.store.search(&filter).all().await.map_err(verbs::Error::from)?;
    listing.held.retain(|held| held.attachment.network == opened.base.network);
    Ok(listing.held)
}

/// A runtime passes the uid of the pod. Where nobody gave it, it is that of the pod which has the name.
async fn with_uid(opened: &Opened, pod: PodName, held: &[Allocation]) -> PodName {
    if pod.uid.is_some() {
        return pod;
    }
    let mut uid = None;
    if let Ok(Some(kubernetes)) = Network::kubernetes(&opened.netconf) {
        // Whatever is wrong with the server, the rehearsal comes upon it.
        let found = ApiServer::of_kubeconfig(&kubernetes.kubeconfig).pod(&pod).await;
        uid = found.ok().and_then(|found| found.name.uid);
    }
    let uid = uid.or_else(|| held.iter().find_map(|held| held.pod.as_ref()?.uid.clone()));
    PodName { uid, ..pod }
}

/// As the plugin would read and serve it, were this pod's sandbox made now.
async fn rehearsed(
    opened: &Opened,
    base: &Base,
    asked: &ExplainRequest,
    pod: Option<PodName>,
) -> (Rehearsal, Result<Claim, verbs::Error>) {
    let network = match network(opened, base, asked, pod) {
        Ok(network) => network,
        Err(error) => return (Rehearsal::default(), Err(error)),
    };
    let container = Container { id: CONTAINER.to_owned(), interface: asked.interface.clone() };
    rehearse(&container, base, &network, &opened.store).await
}

fn network(
    opened: &Opened,
    base: &Base,
    asked: &ExplainRequest,
    pod: Option<PodName>,
) -> Result<Network, verbs::Error> {
    let mut configuration: Value = serde_json::from_slice(&opened.found.configuration).unwrap_or_default();
    if let Some(annotations) = &asked.annotations {
        let whole = configuration.as_object_mut();
        let passed = whole.map(|whole| whole.entry("runtimeConfig").or_insert_with(|| json!({})));
        // What is there and is not an object is refused when it is read.
        if let Some(Value::Object(passed)) = passed {
            passed.insert("io.kubernetes.cri.pod-annotations".to_owned(), json!(annotations));
        }
    }
    let netconf = NetConf::parse(configuration.to_string().as_bytes())?;
    netconf.version()?.admit(Verb::Add)?;
    base.check_node()?;
    let addresses = asked.addresses.iter().filter_map(|text| Requested::parse(text)).collect();
    let (pod_namespace, pod_name, pod_uid) = match pod {
        Some(PodName { namespace, name, uid, .. }) => (Some(namespace), Some(name), uid),
        None => (None, None, None),
    };
    Ok(Network::read(&netconf, &CniArgs { pod_namespace, pod_name, pod_uid, addresses })?)
}
