//! Whole processes of the node's program, each started as a runtime starts it.

use std::io::{self, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Instant;

use serde::Serialize;
use serde_json::Value;

use super::micros;
use crate::lab::simulate::Spread;
use cni::code;

/// Processes of each kind that are timed.
const PROCESSES: u32 = 30;
/// Processes that are watched for their memory and not timed, because watching takes time from them: so many have to be
/// seen at work, and so many are started at most.
const WATCHED: usize = 8;
const MOST_WATCHED: u32 = 200;
/// A process with less resident memory than this has only just been started.
const AT_WORK_KIB: u64 = 2_048;

/// What whole processes cost, from spawn to exit, each with a look at a store on disk.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Processes {
    pub add_micros: Spread,
    pub built_in_add_micros: Spread,
    /// Microseconds of a VERSION, which is what any process costs.
    pub version_micros: Spread,
    /// The largest resident set of an ADD.
    pub add_peak_kib: u64,
    pub built_in_add_peak_kib: u64,
}

/// Time ADDs of the module beside ADDs of the built-in policy and calls of VERSION.
pub(super) fn measure(program: &Path, ours: &str, built_in: &str) -> io::Result<Processes> {
    let (mut add, mut built_in_add, mut version) = (Vec::new(), Vec::new(), Vec::new());
    // In turn, so that whatever else the machine does meanwhile falls on all three alike.
    for nth in 0..PROCESSES {
        add.push(time(program, "ADD", nth, ours)?);
        built_in_add.push(time(program, "ADD", nth, built_in)?);
        version.push(time(program, "VERSION", nth, ours)?);
    }
    Ok(Processes {
        add_micros: Spread::of(add),
        built_in_add_micros: Spread::of(built_in_add),
        version_micros: Spread::of(version),
        add_peak_kib: highest_peak_kib(program, ours)?,
        built_in_add_peak_kib: highest_peak_kib(program, built_in)?,
    })
}

/// The time from spawn to exit, in microseconds.
fn time(program: &Path, verb: &str, nth: u32, network: &str) -> io::Result<u64> {
    let began = Instant::now();
    let output = start(program, verb, nth, network)?.wait_with_output()?;
    let took = began.elapsed();
    expect_work(&output)?;
    Ok(micros(took))
}

/// The largest peak among several ADDs. On a busy machine a process may be gone before it was seen at work, and its peak
/// says nothing: more are started until enough have been seen.
fn highest_peak_kib(program: &Path, network: &str) -> io::Result<u64> {
    let (mut highest, mut seen) = (0, 0);
    for nth in PROCESSES..PROCESSES + MOST_WATCHED {
        let peak = peak_kib(program, nth, network)?;
        if peak >= AT_WORK_KIB {
            highest = highest.max(peak);
            seen += 1;
        }
        if seen == WATCHED {
            break;
        }
    }
    Ok(highest)
}

/// How high the memory of the process had risen when it was last seen. The kernel keeps that mark only as long as the
/// process runs, and says nothing when it ends: so it is read again and again.
fn peak_kib(program: &Path, nth: u32, network: &str) -> io::Result<u64> {
    let child = start(program, "ADD", nth, network)?;
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while let Some(mark) = high_water_mark(&std::fs::read_to_string(&status)?) {
        peak = mark;
    }
    expect_work(&child.wait_with_output()?)?;
    Ok(peak)
}

/// `VmHWM` of a process, in KiB; absent of one that has exited and is not yet waited for.
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
        // An error here is not ours to report: a plugin that refuses before it has read everything closes the pipe, and
        // its output says why.
        let _ = stdin.write_all(network.as_bytes());
    }
    Ok(child)
}

/// A refusal costs what a success costs, so that both are measured. Any other error says nothing of the module.
fn expect_work(output: &Output) -> io::Result<()> {
    let answer: Value = match serde_json::from_slice(&output.stdout) {
        Ok(answer) => answer,
        Err(error) => {
            let status = output.status;
            return Err(io::Error::other(format!("its output is not JSON ({error}), and it ended with {status}")));
        }
    };
    let Some(code) = answer["code"].as_u64() else { return Ok(()) };
    if (u64::from(code::EXHAUSTED)..=u64::from(code::POLICY_FAULT)).contains(&code) {
        return Ok(());
    }
    Err(io::Error::other(format!("it answered with code {code}: {}", answer["msg"].as_str().unwrap_or_default())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_is_gone_has_no_mark() {
        assert_eq!(high_water_mark("Name:\tx\nVmPeak:\t  900 kB\nVmHWM:\t    4812 kB\nVmRSS:\t 1 kB\n"), Some(4_812));
        assert_eq!(high_water_mark("Name:\tx\nState:\tZ (zombie)\n"), None);
    }
}
