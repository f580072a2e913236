//! `kube-ipam doctor`: whether pods on this node can get addresses. One check for each thing that an ADD needs, and a hint
//! with each that fails. Changes nothing. Exits 0 where all is well, 1 where something is to be looked at, 2 where pods get no
//! addresses or something that the configuration asks for does not happen.

use std::path::{Path, PathBuf};
use std::time::Instant;

use jiff::Timestamp;

use super::cache::CacheArgs;
use super::config;
use super::network::{FoundNetwork, NetworkArgs, NetworkError, Opened};
use super::output::{CommandError, Done, Format, Output};
use crate::config::{Network, OnFault};
use crate::runtime;
use crate::verbs::{self, Deadline};
use bundle::Bundle;
use check::{Check, Verdict};
use cni::{Args, Fail};
use engine::Policy;
use ipam::RangeSets;
use store::StoreConfig;
use store::{StoreError, predecessors_keys};

mod books;
mod bundle;
mod calls;
mod check;
mod clock;
mod containers;
mod etcd;
mod folder;
mod leftovers;
mod machine;
mod outside;
mod permissions;
mod rights;
mod signatures;
mod trial;
mod watched;

pub(crate) use etcd::quota;

/// The percentage of addresses in use from which on a range set gets a warning.
const NEARLY_FULL: u8 = 90;

/// The options of `doctor`.
#[derive(clap::Args, Debug)]
pub(crate) struct DoctorOptions {
    /// Also write a support archive (tar): this report, the networks' configurations and the end of their logs. Passwords, keys
    /// and tokens are left out; names of pods and nodes are not
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
}

pub(crate) fn doctor(options: &DoctorOptions, cache: &CacheArgs, network: &NetworkArgs, format: Format) -> Done {
    let checks = match network.find() {
        Ok(found) => examine(&found, options, cache)?,
        // A file that no ADD can read is a finding like any other.
        Err(NetworkError::Unusable { message, hint }) => vec![Check::bad("configuration", message, hint)],
        Err(error) => return Err(error.into()),
    };
    let exit = checks.iter().map(|check| check.verdict.exit()).max().unwrap_or_default();
    let text = match format {
        Format::Json => serde_json::to_string_pretty(&checks)?,
        Format::Table => checks.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
    };
    Ok(Output { text, exit })
}

fn examine(found: &[FoundNetwork], options: &DoctorOptions, cache: &CacheArgs) -> Result<Vec<Check>, CommandError> {
    let mut checks = vec![looked_at(found)];
    let mut files: Vec<&str> = found.iter().map(|network| network.file.as_str()).collect();
    files.dedup();
    for file in &files {
        checks.push(configuration(Path::new(file)));
    }
    let is_valid = checks.iter().all(|check| check.verdict != Verdict::Bad);
    checks.extend(files.first().map(|file| folder::folder(Path::new(file))).unwrap_or_default());
    let mut bundle = Bundle::default();
    for network in found {
        match network.open() {
            Ok(opened) => {
                for check in runtime::block_on(async { Ok::<_, verbs::Error>(checks_of(&opened, cache).await) })? {
                    let mut check = check.naming(&opened);
                    if found.len() > 1 {
                        check.detail = format!("network {}: {}", opened.base.network, check.detail);
                    }
                    checks.push(check);
                }
                if options.bundle.is_some() {
                    bundle.add_network(&opened);
                }
            }
            // The check of its configuration has reported why.
            Err(_) if !is_valid => {}
            Err(error) => checks.push(Check::bad("configuration", error.to_string(), error.hint())),
        }
    }
    if let Some(path) = &options.bundle {
        bundle.add_checks(&checks);
        bundle.write(path)?;
        checks.push(Check::good("bundle", format!("{}: {}", path.display(), bundle.names().join(", "))));
    }
    Ok(checks)
}

async fn checks_of(opened: &Opened, libcni: &CacheArgs) -> Vec<Check> {
    let mut checks = vec![machine::node(&opened.base)];
    checks.extend(watched::log(&opened.base));
    checks.extend(watched::counts(&opened.netconf));
    checks.extend(calls::calls(&opened.base));
    let network = Network::read(&opened.netconf, &Args::default());
    checks.extend(permissions::permissions(opened, network.as_ref().ok()));
    let mut loaded = None;
    if let Ok(network) = &network {
        let (check, policy) = policy(network);
        checks.push(check);
        loaded = policy;
        checks.extend(signatures::signatures(network, loaded.as_ref().map(Policy::name)));
        checks.push(cache(network));
        checks.extend(watched::shadow(&opened.base, network));
        checks.extend(watched::record(network));
        checks.extend(rights::api_server(opened, network).await);
    }
    checks.extend(etcd::etcd(opened).await);
    // Everything below reads the store: were it asked while it does not answer, each check would wait for its time-out.
    let store = store(opened).await;
    let reachable = store.verdict == Verdict::Good;
    checks.push(store);
    if reachable {
        if let Ok(network) = &network {
            if let Some(policy) = &loaded {
                checks.push(trial::trial(opened, network, policy).await);
            }
            checks.extend(ranges(opened, &network.range_sets).await);
            checks.extend(outside::outside(opened, &network.range_sets).await);
        }
        checks.extend(machine::machine(opened).await);
        if let Ok(network) = &network {
            checks.extend(books::books(opened, &network.range_sets).await);
        }
        checks.extend(leftovers::leftovers(opened).await);
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

/// The policy is there for a trial decision, unless another one decides in its place.
fn policy(network: &Network) -> (Check, Option<Policy>) {
    match verbs::load(network) {
        Ok(policy) => {
            let name = policy.name();
            (Check::good("policy", format!("{}, sha256 {}", name.name, name.sha256)), Some(policy))
        }
        Err(error) if network.policy.on_fault == OnFault::Default && error.may_be_replaced() => {
            let detail = format!("{}; the built-in policy decides instead (policy.onFault)", error.message());
            (Check::warning("policy", detail, error.hint()), None)
        }
        Err(error) => (Check::failed("policy", &error), None),
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

/// Whether the store answers, and would take what an ADD writes.
async fn store(opened: &Opened) -> Check {
    // Opened again, with a deadline: commands wait for a turn to write as long as it takes, but a turn that another process
    // never gives back is one of the faults that this check has to find. It waits as long as an ADD would.
    let deadline = Deadline::after(opened.base.timeout);
    let store = runtime::open(&opened.base, &opened.netconf, Some(deadline));
    let pinged = store.ping().await;
    let began = Instant::now();
    let tried = match pinged {
        Ok(()) => store.rehearse().await,
        Err(error) => Err(error),
    };
    match tried {
        // Tried with all that an ADD writes, nested as it nests it, and with nothing that stays.
        Ok(()) => {
            let took = began.elapsed();
            Check::good("store", format!("{}; an ADD could write ({took:.1?})", place(&opened.base.store)))
        }
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
                "`{}` shows them and asks; --set-aside moves away what cannot be imported",
                opened.command("import --from kube-ipam-v0")
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
