//! What a module costs: in fuel, which is the same everywhere, and in time and memory on this machine, as a decision
//! here and as a whole process that a runtime starts.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::simulate::{Space, Spread};
use super::world::{NETWORK, attachment};
use super::{Asker, Mishap, World};
use cni::Fail;
use engine::{Call, Compiler, Policy, PolicyError, Source};
use ipam::{Kind, Pod, PodName, Span};
use limits::Limits;
use store::embedded::Embedded;

/// Requests of each kind in this process.
const REQUESTS: u128 = 20;
/// Processes of each kind.
const PROCESSES: u32 = 30;
/// More of them, which are watched for their memory instead of timed: so many seen at work, of so many at most.
const WATCHED: usize = 8;
const MOST_WATCHED: u32 = 200;
/// Whatever has less memory than this was only just started.
const AT_WORK_KIB: u64 = 2_048;

/// The file, and what becomes of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Module {
    /// Size of the module.
    pub bytes: u64,
    /// Size of its compiled form.
    pub compiled_bytes: u64,
    /// From the module to code that can run.
    pub compile_millis: u64,
}

/// What decisions cost while so many addresses are held.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Decisions {
    /// Addresses of every range set.
    pub held: u64,
    /// Of a run.
    pub fuel: Spread,
    /// Questions and log lines of a run.
    pub host_calls: Spread,
    /// Microseconds of a run in this process.
    pub micros: Spread,
    /// Requests that were refused, and what the first was told.
    pub refused: u64,
    /// The words of the first refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
}

/// What whole processes cost, from spawn to exit, each with a look at a store on disk.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Processes {
    /// Microseconds of an ADD.
    pub add_micros: Spread,
    /// Microseconds of an ADD that the built-in policy decides.
    pub built_in_add_micros: Spread,
    /// Microseconds of a VERSION: what any process costs.
    pub version_micros: Spread,
    /// The largest resident set of an ADD.
    pub add_peak_kib: u64,
    /// The same with the built-in policy.
    pub built_in_add_peak_kib: u64,
}

/// What could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// The network, or what shall be held in it.
    #[error(transparent)]
    World(#[from] Mishap),
    /// The module.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A copy of the world on disk.
    #[error(transparent)]
    Store(#[from] store::StoreError),
    /// A process, or a directory for it.
    #[error("{doing}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// Why it failed.
        #[source]
        cause: io::Error,
    },
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

/// A network, a module for it, and a directory for processes.
pub struct Bench {
    ipam: Map<String, Value>,
    policy: Policy,
    module: Option<PathBuf>,
    directory: tempfile::TempDir,
}

impl Bench {
    /// The module is compiled into a cache of its own.
    pub fn new(
        ipam: Map<String, Value>,
        module: Option<&Path>,
        sha256: Option<&str>,
    ) -> Result<(Self, Option<Module>), MeasureError> {
        let io = |doing| move |cause| MeasureError::Io { doing, cause };
        let directory = tempfile::tempdir().map_err(io("making a temporary directory"))?;
        // Where there is none, whoever loads it says so.
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
        let facts = |module: &PathBuf| -> io::Result<Module> {
            Ok(Module {
                bytes: module.metadata()?.len(),
                compiled_bytes: size_of_compiled(&cache)?,
                compile_millis: took.as_millis() as u64,
            })
        };
        let facts = module.as_ref().map(facts).transpose().map_err(io("looking at the compiled module"))?;
        Ok((Self { ipam, policy, module, directory }, facts))
    }

    /// The module, loaded.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// A world in which so many addresses of every range set are held, or as many as leave room for the requests.
    pub fn world(&self, held: u64) -> Result<(World, u64), MeasureError> {
        let world = World::new(&self.ipam, self.policy.clone())?;
        let smallest = world.range_sets().iter().map(|set| set.size()).min().unwrap_or(0);
        let held = smallest.saturating_sub(4 * REQUESTS).min(held.into());
        for set in world.range_sets().iter() {
            let mut rest = held;
            for span in set.offered() {
                let part = span.len().min(rest);
                let last =
                    part.checked_sub(1).map(|last| set.family().address(ipam::address::number(span.first()) + last));
                if let Some(span) = last.and_then(|last| Span::new(span.first(), last)) {
                    world.hold(span, Kind::Dynamic)?;
                }
                rest -= part;
            }
        }
        Ok((world, u64::try_from(held).unwrap_or(u64::MAX)))
    }

    /// Requests for any address, for those of an annotation, and for those the runtime names.
    pub fn decisions(&self, world: &World, held: u64) -> Decisions {
        let spaces: Vec<Space> = world.range_sets().iter().map(Space::of).collect();
        let free = |nth: u128| -> Vec<IpAddr> {
            let last = |space: &Space| space.address(space.size().saturating_sub(1 + nth));
            spaces.iter().map(last).collect()
        };
        let (mut calls, mut refused, mut refusal) = (Vec::new(), 0, None);
        for nth in 0..REQUESTS {
            let any = asker(nth, "any", &[]);
            let annotated = asker(nth, "annotated", &free(2 * nth));
            let requested = Asker { requested: free(2 * nth + 1), ..asker(nth, "requested", &[]) };
            for asker in [any, annotated, requested] {
                let allocation = world.allocate(&asker);
                calls.extend(allocation.calls);
                if let Err(error) = allocation.outcome {
                    refused += 1;
                    refusal.get_or_insert_with(|| error.to_string());
                }
            }
        }
        let spread = |of: fn(&Call) -> u64| Spread::of(calls.iter().map(of).collect());
        Decisions {
            held,
            fuel: spread(|call| call.spent.fuel),
            host_calls: spread(|call| call.spent.host_calls),
            micros: spread(|call| micros(call.took)),
            refused,
            refusal,
        }
    }

    /// ADDs as a runtime makes them, on copies of the world. `program` is ours.
    pub fn processes(&self, world: &World, held: u64, program: &Path) -> Result<Processes, MeasureError> {
        let io = |cause| MeasureError::Io { doing: "starting kube-ipam as a plugin", cause };
        let ours = self.network(world, &format!("{held}"), self.module.as_deref())?;
        let built_in = self.network(world, &format!("{held}-built-in"), None)?;
        let [mut add, mut built_in_add, mut version] = [Vec::new(), Vec::new(), Vec::new()];
        for nth in 0..PROCESSES {
            add.push(time(program, "ADD", nth, &ours).map_err(io)?);
            built_in_add.push(time(program, "ADD", nth, &built_in).map_err(io)?);
            version.push(time(program, "VERSION", nth, &ours).map_err(io)?);
        }
        let peak = |network: &str| -> io::Result<u64> {
            let mut peaks = Vec::new();
            for nth in PROCESSES..PROCESSES + MOST_WATCHED {
                let peak = peak_kib(program, nth, network)?;
                // On a busy machine a process may have gone before it was seen at work.
                if peak >= AT_WORK_KIB {
                    peaks.push(peak);
                }
                if peaks.len() == WATCHED {
                    break;
                }
            }
            Ok(peaks.into_iter().max().unwrap_or(0))
        };
        Ok(Processes {
            add_micros: Spread::of(add),
            built_in_add_micros: Spread::of(built_in_add),
            version_micros: Spread::of(version),
            add_peak_kib: peak(&ours).map_err(io)?,
            built_in_add_peak_kib: peak(&built_in).map_err(io)?,
        })
    }

    /// The network on a copy of the world on disk, as a main plugin would write it.
    fn network(&self, world: &World, name: &str, module: Option<&Path>) -> Result<String, MeasureError> {
        let data_dir = self.directory.path().join(name);
        world.copy_to(&Embedded::new(&data_dir, None))?;
        let mut ipam = self.ipam.clone();
        ipam.retain(|key, _| !matches!(key.as_str(), "etcdConfig" | "kubeConfig" | "logFile" | "domain" | "policy"));
        ipam.insert("type".to_owned(), json!("kube-ipam"));
        ipam.insert("dataDir".to_owned(), json!(data_dir));
        if let Some(module) = module {
            let given = |key: &str| self.ipam.get("policy").and_then(|policy| policy.get(key)).cloned();
            let cache = self.directory.path().join("cache");
            let policy =
                json!({"module": module, "cacheDir": cache, "settings": given("settings"), "limits": given("limits")});
            ipam.insert("policy".to_owned(), policy);
        }
        Ok(json!({"cniVersion": "1.1.0", "name": NETWORK, "type": "bridge", "ipam": ipam}).to_string())
    }
}

/// The one file in a cache that has compiled one module.
fn size_of_compiled(cache: &Path) -> io::Result<u64> {
    for entry in std::fs::read_dir(cache)? {
        let entry = entry?;
        if entry.path().extension().is_some_and(|extension| extension == "cwasm") {
            return Ok(entry.metadata()?.len());
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

fn asker(nth: u128, kind: &str, annotated: &[IpAddr]) -> Asker {
    let name = PodName { namespace: "namespace-1".to_owned(), name: format!("{kind}-{nth}"), uid: None, cluster: None };
    let addresses: Vec<String> = annotated.iter().map(ToString::to_string).collect();
    let annotation = ("kube-ipam.ip".to_owned(), addresses.join(","));
    let annotations = BTreeMap::from_iter((!annotated.is_empty()).then_some(annotation));
    let pod = Pod { name, annotations, labels: BTreeMap::new(), owner: None };
    Asker { attachment: attachment(&format!("{kind}-{nth}")), pod: Some(pod), ..Asker::container("") }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// From spawn to exit.
fn time(program: &Path, verb: &str, nth: u32, network: &str) -> io::Result<u64> {
    let began = Instant::now();
    let output = start(program, verb, nth, network)?.wait_with_output()?;
    let took = began.elapsed();
    checked(output).map(|()| micros(took))
}

/// The mark at which the memory of the process stood when it was last seen: a running process is asked again and again,
/// for nobody tells it of one that is gone.
fn peak_kib(program: &Path, nth: u32, network: &str) -> io::Result<u64> {
    let child = start(program, "ADD", nth, network)?;
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while let Some(mark) = high_water_mark(&std::fs::read_to_string(&status)?) {
        peak = mark;
    }
    checked(child.wait_with_output()?).map(|()| peak)
}

/// None of a process that has exited.
fn high_water_mark(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

fn start(program: &Path, verb: &str, nth: u32, network: &str) -> io::Result<Child> {
    let args =
        format!("IgnoreUnknown=1;K8S_POD_NAMESPACE=namespace-1;K8S_POD_NAME=process-{nth};K8S_POD_UID=uid-{nth}");
    let mut child = Command::new(program)
        .env_clear()
        .envs([("CNI_COMMAND", verb), ("CNI_NETNS", "/var/run/netns/bench"), ("CNI_IFNAME", "eth0")])
        .envs([("CNI_CONTAINERID", format!("process-{nth}")), ("CNI_ARGS", args)])
        .env("CNI_PATH", "/opt/cni/bin")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that refuses before it has read everything closes the pipe.
        let _ = stdin.write_all(network.as_bytes());
    }
    Ok(child)
}

/// A refusal is an answer, too; no answer is none.
fn checked(output: Output) -> io::Result<()> {
    match serde_json::from_slice::<Value>(&output.stdout) {
        Ok(_) => Ok(()),
        Err(error) => {
            Err(io::Error::other(format!("its answer is no JSON ({error}), and it ended with {}", output.status)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_is_gone_has_no_mark() {
        assert_eq!(high_water_mark("Name:\tx\nVmPeak:\t  900 kB\nVmHWM:\t    4812 kB\nVmRSS:\t 1 kB\n"), Some(4_812));
        assert_eq!(high_water_mark("Name:\tx\nState:\tZ (zombie)\n"), None);
    }

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
