//! What a module costs: in fuel, which is the same on every machine, and in time and memory on this one; as a decision
//! in this process, and as a whole process that a runtime starts.

mod processes;

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Map, Value, json};

pub use processes::Processes;

use super::simulate::{Space, Spread};
use super::world::NETWORK;
use super::{Mishap, TrialRequester, World};
use cni::Fail;
use engine::{Compiler, Policy, PolicyError, Source};
use ipam::{Kind, Pod, PodName, Span};
use limits::Limits;
use store::embedded::Embedded;

/// Requests of each kind that are decided in this process.
const REQUESTS: u128 = 20;
/// How large a module and its compiled form are, and how long compiling it took.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModuleFacts {
    pub bytes: u64,
    pub compiled_bytes: u64,
    pub compile_millis: u64,
}

/// What decisions in this process cost while so many addresses are held.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Decisions {
    /// How many addresses of every range set are held.
    pub held: u64,
    /// Fuel of a run.
    pub fuel: Spread,
    /// Questions and log lines of a run.
    pub host_calls: Spread,
    /// Microseconds of a run.
    pub micros: Spread,
    /// How many requests were refused.
    pub refused: u64,
    /// The words of the first refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
}

/// Why something could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// The network is wrong, or addresses cannot be held in it.
    #[error(transparent)]
    World(#[from] Mishap),
    /// The module cannot be used.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The world cannot be copied onto a disk.
    #[error(transparent)]
    Store(#[from] store::StoreError),
    /// A process, or a directory for it, cannot be made.
    #[error("{doing}")]
    Io {
        doing: &'static str,
        #[source]
        cause: io::Error,
    },
}

impl MeasureError {
    fn io(doing: &'static str) -> impl Fn(io::Error) -> Self {
        move |cause| Self::Io { doing, cause }
    }
}

impl Fail for MeasureError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::World(error) => error.hint(),
            Self::Policy(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Io { .. } => None,
        }
    }
}

/// A network, a module for it, and a directory for the processes.
pub struct Bench {
    ipam: Map<String, Value>,
    policy: Policy,
    module: Option<PathBuf>,
    directory: tempfile::TempDir,
}

impl Bench {
    /// Load a module, which is compiled into a cache of its own. Facts are told of a file; the built-in policy is none.
    pub fn new(
        ipam: Map<String, Value>,
        module: Option<&Path>,
        sha256: Option<&str>,
    ) -> Result<(Self, Option<ModuleFacts>), MeasureError> {
        let directory = tempfile::tempdir().map_err(MeasureError::io("cannot make a temporary directory"))?;
        // The processes run elsewhere, so that a relative path would mean another file to them. Where there is no such
        // file, loading it gives the better error.
        let module = module.map(|module| module.canonicalize().unwrap_or_else(|_| module.to_owned()));
        let cache = directory.path().join("cache");
        let source = Source {
            module: module.as_deref(),
            sha256,
            cache_dir: Some(&cache),
            limits: Limits::default(),
            compiler: Compiler::InProcess,
            deadline: None,
        };
        let began = Instant::now();
        let policy = Policy::load(&source)?;
        let took = began.elapsed();
        let mut facts = None;
        if let Some(module) = &module {
            let measured = measure_module(module, &cache, took);
            facts = Some(measured.map_err(MeasureError::io("cannot read the compiled module"))?);
        }
        Ok((Self { ipam, policy, module, directory }, facts))
    }

    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// A world in which so many addresses of every range set are held, or as many as leave room for the requests. Gives
    /// that number, too.
    pub fn world(&self, held: u64) -> Result<(World, u64), MeasureError> {
        let world = World::new(&self.ipam, self.policy.clone())?;
        let smallest = world.range_sets().iter().map(|set| set.size()).min().unwrap_or(0);
        let held = smallest.saturating_sub(4 * REQUESTS).min(held.into());
        for set in world.range_sets().iter() {
            let mut rest = held;
            for span in set.offered() {
                let part = span.size().min(rest);
                if part == 0 {
                    break;
                }
                let last = set.family().address(ipam::address::number(span.first()) + part - 1);
                if let Some(span) = Span::new(span.first(), last) {
                    world.hold(span, Kind::Dynamic)?;
                }
                rest -= part;
            }
        }
        Ok((world, u64::try_from(held).unwrap_or(u64::MAX)))
    }

    /// Decide requests of three kinds: for any address, for those of an annotation, and for those the runtime names.
    pub fn decisions(&self, world: &World, held: u64) -> Decisions {
        let spaces: Vec<Space> = world.range_sets().iter().map(Space::of).collect();
        let (mut calls, mut refused, mut refusal) = (Vec::new(), 0, None);
        for nth in 0..REQUESTS {
            // Addresses are named from the end of the ranges, which `world` left free, and no address twice: the second
            // request for one would be refused.
            let any = requester(nth, "any", &[]);
            let annotated = requester(nth, "annotated", &from_the_end(&spaces, 2 * nth));
            let mut requested = requester(nth, "requested", &[]);
            requested.requested = from_the_end(&spaces, 2 * nth + 1);
            for requester in [any, annotated, requested] {
                let allocation = world.allocate(&requester);
                calls.extend(allocation.calls);
                if let Err(error) = allocation.outcome {
                    refused += 1;
                    refusal.get_or_insert_with(|| error.to_string());
                }
            }
        }
        Decisions {
            held,
            fuel: Spread::of(calls.iter().map(|call| call.spent.fuel).collect()),
            host_calls: Spread::of(calls.iter().map(|call| call.spent.host_calls).collect()),
            micros: Spread::of(calls.iter().map(|call| micros(call.took)).collect()),
            refused,
            refusal,
        }
    }

    /// Make ADDs as a runtime makes them, each on a copy of the world. `program` is the node's, `kube-ipam`.
    pub fn processes(&self, world: &World, held: u64, program: &Path) -> Result<Processes, MeasureError> {
        let ours = self.network(world, &format!("{held}"), self.module.as_deref())?;
        let built_in = self.network(world, &format!("{held}-built-in"), None)?;
        processes::measure(program, &ours, &built_in).map_err(MeasureError::io("cannot run kube-ipam as a plugin"))
    }

    /// Copy the world to disk, and give its network's configuration as a main plugin would write it.
    fn network(&self, world: &World, name: &str, module: Option<&Path>) -> Result<String, MeasureError> {
        let data_dir = self.directory.path().join(name);
        world.copy_to(&Embedded::new(&data_dir, None))?;
        let mut ipam = self.ipam.clone();
        ipam.retain(|key, _| !matches!(key.as_str(), "etcdConfig" | "kubeConfig" | "domain" | "policy"));
        ipam.insert("logFile".to_owned(), json!("none"));
        ipam.insert("type".to_owned(), json!("kube-ipam"));
        ipam.insert("dataDir".to_owned(), json!(data_dir));
        if let Some(module) = module {
            // Nothing else of the section: a journal or a shadow would cost every process what it does not cost a module.
            let given = self.ipam.get("policy").and_then(Value::as_object);
            let mut policy = Map::new();
            policy.insert("module".to_owned(), json!(module));
            policy.insert("cacheDir".to_owned(), json!(self.directory.path().join("cache")));
            for key in ["settings", "limits"] {
                // An ADD refuses `null` here: what was not given is left out.
                if let Some(value) = given.and_then(|given| given.get(key)) {
                    policy.insert(key.to_owned(), value.clone());
                }
            }
            ipam.insert("policy".to_owned(), policy.into());
        }
        Ok(json!({"cniVersion": "1.1.0", "name": NETWORK, "type": "bridge", "ipam": ipam}).to_string())
    }
}

fn measure_module(module: &Path, cache: &Path, compiling: Duration) -> io::Result<ModuleFacts> {
    Ok(ModuleFacts {
        bytes: module.metadata()?.len(),
        compiled_bytes: size_of_compiled(cache)?,
        compile_millis: compiling.as_millis() as u64,
    })
}

/// The size of the one compiled module in a cache that has compiled one.
fn size_of_compiled(cache: &Path) -> io::Result<u64> {
    for entry in std::fs::read_dir(cache)? {
        let entry = entry?;
        if entry.path().extension().is_some_and(|extension| extension == "cwasm") {
            return Ok(entry.metadata()?.len());
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

/// The address of each range set that so many others follow.
fn from_the_end(spaces: &[Space], nth: u128) -> Vec<IpAddr> {
    spaces.iter().map(|space| space.address(space.size().saturating_sub(1 + nth))).collect()
}

fn requester(nth: u128, kind: &str, annotated: &[IpAddr]) -> TrialRequester {
    let name = PodName { namespace: "namespace-1".to_owned(), name: format!("{kind}-{nth}"), uid: None, cluster: None };
    let mut pod = Pod { name, annotations: BTreeMap::new(), labels: BTreeMap::new(), owner: None };
    if !annotated.is_empty() {
        let addresses: Vec<String> = annotated.iter().map(ToString::to_string).collect();
        pod.annotations.insert("kube-ipam.ip".to_owned(), addresses.join(","));
    }
    TrialRequester { pod: Some(pod), ..TrialRequester::container(&format!("{kind}-{nth}")) }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_are_held_as_leave_room() {
        let ipam = json!({"ranges": [[{"subnet": "10.0.0.0/24"}], [{"subnet": "fd00::/112"}]]});
        let (bench, module) = Bench::new(ipam.as_object().unwrap().clone(), None, None).unwrap();
        assert_eq!(module, None, "the built-in policy is no file");
        let (world, held) = bench.world(100).unwrap();
        assert_eq!((held, world.held().unwrap().len()), (100, 200));
        let (world, held) = bench.world(60_000).unwrap();
        assert_eq!(held, 253 - 80);
        let decisions = bench.decisions(&world, held);
        assert_eq!((decisions.refused, decisions.refusal.clone()), (0, None));
        assert!(0 < decisions.fuel.min && decisions.fuel.max < 100_000, "{decisions:?}");
    }
}
