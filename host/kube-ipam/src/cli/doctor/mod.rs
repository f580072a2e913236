//! `kube-ipam doctor`: whether pods on this node can get addresses. One check for each thing that an ADD needs, and a hint
//! with each that fails. Changes nothing.

use std::path::Path;

use jiff::Timestamp;

use super::cache::CacheArgs;
use super::config;
use super::network::{FoundNetwork, NetworkArgs, Opened};
use super::output::{Done, Format, Output};
use crate::config::{KubernetesConfig, Network, OnFault};
use crate::runtime;
use crate::verbs::{self, Deadline};
use check::{Check, Verdict};
use cluster::{self, ApiServer};
use cni::{Args, Fail};
use ipam::RangeSets;
use store::StoreConfig;
use store::{StoreError, predecessors_keys};

mod books;
mod check;
mod containers;
mod machine;
mod members;
mod outside;
mod watched;

/// The percentage of addresses in use from which on a range set gets a warning.
const NEARLY_FULL: u8 = 90;

pub(crate) fn doctor(cache: &CacheArgs, network: &NetworkArgs, format: Format) -> Done {
    let found = network.find()?;
    let mut checks = vec![looked_at(&found)];
    let mut files: Vec<&str> = found.iter().map(|network| network.file.as_str()).collect();
    files.dedup();
    for file in files {
        checks.push(configuration(Path::new(file)));
    }
    let is_valid = checks.iter().all(|check| check.verdict != Verdict::Bad);
    for network in &found {
        match network.open() {
            Ok(opened) => {
                for mut check in runtime::block_on(async { Ok(checks_of(&opened, cache).await) })? {
                    if found.len() > 1 {
                        check.detail = format!("network {}: {}", opened.base.network, check.detail);
                    }
                    checks.push(check);
                }
            }
            // The check of its configuration has reported why.
            Err(_) if !is_valid => {}
            Err(error) => return Err(error),
        }
    }
    let exit = u8::from(checks.iter().any(|check| check.verdict == Verdict::Bad));
    let text = match format {
        Format::Json => serde_json::to_string_pretty(&checks)?,
        Format::Table => checks.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
    };
    Ok(Output { text, exit })
}

async fn checks_of(opened: &Opened, libcni: &CacheArgs) -> Vec<Check> {
    let mut checks = vec![machine::node(&opened.base)];
    checks.extend(watched::log(&opened.base));
    let network = Network::read(&opened.netconf, &Args::default());
    if let Ok(network) = &network {
        checks.push(policy(network));
        checks.push(cache(network));
        checks.extend(watched::shadow(&opened.base, network));
        checks.extend(watched::record(network));
        checks.extend(api_server(opened, network).await);
    }
    checks.extend(members::members(opened).await);
    // Everything below reads the store: were it asked while it does not answer, each check would wait for its time-out.
    let store = store(opened).await;
    let reachable = store.verdict == Verdict::Good;
    checks.push(store);
    if reachable {
        if let Ok(network) = &network {
            checks.extend(ranges(opened, &network.range_sets).await);
            checks.extend(outside::outside(opened, &network.range_sets).await);
        }
        checks.extend(machine::machine(opened).await);
        if let Ok(network) = &network {
            checks.extend(books::books(opened, &network.range_sets).await);
        }
        checks.push(predecessor(opened).await);
        checks.push(records(opened).await);
        checks.extend(containers::containers(opened, libcni).await);
    }
    checks
}

/// What the rest is about.
fn looked_at(found: &[FoundNetwork]) -> Check {
    let networks: Vec<String> = found.iter().map(FoundNetwork::title).collect();
    Check::good("network", networks.join(", "))
}

fn configuration(file: &Path) -> Check {
    // The files that the network names have checks of their own below.
    let report = config::check(&[file], config::Files::Unasked);
    let name = "configuration";
    if report.findings.is_empty() {
        return Check::good(name, format!("{}: valid", file.display()));
    }
    let verdict = if report.has_errors() { Verdict::Bad } else { Verdict::Warning };
    let messages: Vec<&str> = report.findings.iter().map(|finding| finding.message.as_str()).collect();
    let detail = format!("{}: {}", file.display(), messages.join("; "));
    let mut hints: Vec<String> = report.findings.iter().filter_map(|finding| finding.hint.clone()).collect();
    hints.dedup();
    let hint = if hints.is_empty() { None } else { Some(hints.join("; ")) };
    Check { name, verdict, detail, hint }
}

fn policy(network: &Network) -> Check {
    match verbs::load(network) {
        Ok(policy) => Check::good("policy", format!("{}, sha256 {}", policy.name().name, policy.name().sha256)),
        Err(error) if network.policy.on_fault == OnFault::Default && error.may_be_replaced() => Check {
            verdict: Verdict::Warning,
            detail: format!("{}; the built-in policy decides instead (policy.onFault)", error.message()),
            ..Check::failed("policy", &error)
        },
        Err(error) => Check::failed("policy", &error),
    }
}

/// Without a trusted cache a policy is compiled again by every ADD: slow, but right.
fn cache(network: &Network) -> Check {
    if network.policy.module.is_none() {
        return Check::good("cache", "not needed: the policy is built in".to_owned());
    }
    let dir = &network.policy.cache_dir;
    match engine::check_cache(dir) {
        Ok(()) => Check::good("cache", dir.display().to_string()),
        Err(why) => Check {
            name: "cache",
            verdict: Verdict::Warning,
            detail: format!("policy cache unusable, recompiling at every ADD: {why}"),
            hint: Some("make root the owner of the directory (mode 0700) and of its parents".to_owned()),
        },
    }
}

/// Whether the API server answers and has a node of the name that claims are made in. The detail says which kubeconfig is
/// used and why that one.
async fn api_server(opened: &Opened, network: &Network) -> Option<Check> {
    let name = "API server";
    let kubeconfig = &network.kubernetes.as_ref()?.kubeconfig;
    let why = KubernetesConfig::reason(&opened.netconf).unwrap_or_default();
    let file = format!("{} ({why})", kubeconfig.display());
    let error = match ApiServer::of_kubeconfig(kubeconfig).node(&opened.base.node).await {
        Ok(_) => return Some(Check::good(name, format!("reachable with {file}; the node exists"))),
        Err(error) => error,
    };
    let verdict = if matches!(error, cluster::Error::Absent { .. }) { Verdict::Warning } else { Verdict::Bad };
    let failed = Check::failed(name, &error.into());
    Some(Check { verdict, detail: format!("with {file}: {}", failed.detail), ..failed })
}

/// Whether the store answers, and would take what an ADD writes.
async fn store(opened: &Opened) -> Check {
    // Opened again, with a deadline: commands wait for a turn to write as long as it takes, but a turn that another process
    // never gives back is one of the faults that this check has to find. It waits as long as an ADD would.
    let deadline = Deadline::after(opened.base.timeout);
    let store = runtime::open(&opened.base, &opened.netconf, Some(deadline));
    let tried = match store.ping().await {
        Ok(()) => store.rehearse().await,
        Err(error) => Err(error),
    };
    match tried {
        Ok(()) => Check::good("store", format!("{}; an ADD could write", place(&opened.base.store))),
        Err(error) => Check::failed("store", &error.into()),
    }
}

fn place(store: &StoreConfig) -> String {
    match store {
        StoreConfig::Embedded { dir } => format!("embedded, in {}", dir.display()),
        StoreConfig::Etcd(etcd) => format!("etcd at {}, under {}", etcd.endpoints.join(", "), etcd.prefix),
    }
}

async fn ranges(opened: &Opened, range_sets: &RangeSets) -> Vec<Check> {
    let occupancies = match opened.store.occupancy(range_sets, Timestamp::now()).await {
        Ok(occupancies) => occupancies,
        Err(error) => return vec![Check::failed("ranges", &error.into())],
    };
    let mut checks = Vec::new();
    for (nth, occupancy) in occupancies.iter().enumerate() {
        let detail = format!("range set {nth}: {} of {} addresses free", occupancy.free, occupancy.size);
        let mut check = Check::good("ranges", detail);
        // A warning even where nothing is free: pods that run keep their addresses, and returning ones get theirs back.
        if occupancy.percent() >= NEARLY_FULL {
            check.verdict = Verdict::Warning;
            check.hint = Some(verbs::fail::WHEN_FULL.to_owned());
        }
        checks.push(check);
    }
    checks
}

async fn predecessor(opened: &Opened) -> Check {
    let name = "predecessor";
    match opened.store.count_predecessor_bookings(&opened.base.network).await {
        Ok(0) => Check::good(name, "nothing left to import from kube-ipam 0.x".to_owned()),
        Ok(count) => Check {
            name,
            verdict: Verdict::Bad,
            detail: match count {
                1 => "1 address given out by kube-ipam 0.x is not imported, and may be given out again".to_owned(),
                _ => {
                    format!("{count} addresses given out by kube-ipam 0.x are not imported, and may be given out again")
                }
            },
            hint: Some(format!(
                "`{}`; --set-aside moves away what cannot be imported",
                opened.command("import --from kube-ipam-v0 --dry-run")
            )),
        },
        // A role that can read only our own keys is a good role. It just leaves this question open.
        Err(StoreError::Refused { .. }) => Check {
            name,
            verdict: Verdict::Warning,
            detail: format!(
                "etcd does not let this user read {}, where kube-ipam 0.x kept its addresses: cannot tell whether \
                 some are still in use and could be given out again",
                predecessors_keys(&opened.base.network)
            ),
            hint: Some(
                "if kube-ipam 0.x never ran here, do nothing; otherwise let the role read and write those keys \
                 until they are imported: etcdctl role grant-permission ROLE readwrite /etcd-cni/ --prefix"
                    .to_owned(),
            ),
        },
        Err(error) => Check { verdict: Verdict::Warning, ..Check::failed(name, &error.into()) },
    }
}

/// Whether the records agree with each other, unless comparing them would take longer than all other checks.
async fn records(opened: &Opened) -> Check {
    let name = "records";
    let inspected = match opened.store.count_records().await {
        Ok(count) if count > limits::store::RECORDS_COMPARED => {
            let fsck = opened.command("fsck");
            return Check::good(name, format!("{count}, too many to compare them here: `{fsck}` does"));
        }
        Ok(_) => opened.store.inspect().await,
        Err(error) => Err(error),
    };
    let found = match inspected {
        Ok(found) => found,
        Err(error) => return Check::failed(name, &error.into()),
    };
    let detail = match found.as_slice() {
        [] => return Check::good(name, "consistent".to_owned()),
        [only] => only.to_string(),
        [first, rest @ ..] => format!("{first}; and {} more", rest.len()),
    };
    let hint = format!("`{}` shows them all and how to repair them", opened.command("fsck"));
    Check { name, verdict: Verdict::Bad, detail, hint: Some(hint) }
}
