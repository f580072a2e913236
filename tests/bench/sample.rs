//! Taking samples, and the state they are taken on.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use kube_ipam_tests::Call;
use kube_ipam_tests::program::wait;
use nix::sys::ptrace;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use serde_json::{Value, json};

pub(crate) const ROUNDS: usize = 200;
pub(crate) const HOST_LOCAL: &str = "/usr/lib/cni/host-local";

/// Samples of two programs, taken in turn.
#[derive(Default)]
pub(crate) struct Pairs {
    ours: Vec<Duration>,
    theirs: Vec<Duration>,
}

/// What the columns of [`Pairs::print`] are.
pub(crate) fn header(theirs: &str) {
    println!("{:<28} {:>12} {:>12} {:>12} {:>7}", "", "kube-ipam", "p99", theirs, "ratio");
}

impl Pairs {
    pub(crate) fn push(&mut self, ours: Duration, theirs: Duration) {
        self.ours.push(ours);
        self.theirs.push(theirs);
    }

    /// Of ours, and of theirs.
    pub(crate) fn medians(&mut self) -> (Duration, Duration) {
        (median(&mut self.ours), median(&mut self.theirs))
    }

    /// One line; gives the ratio of the medians.
    pub(crate) fn print(mut self, what: &str) -> f64 {
        let (ours, theirs) = self.medians();
        let p99 = p99(&mut self.ours);
        let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
        println!("{what:<28} {} {} {} {ratio:>7.2}", milliseconds(ours), milliseconds(p99), milliseconds(theirs));
        ratio
    }
}

pub(crate) fn milliseconds(time: Duration) -> String {
    format!("{:>9.2} ms", time.as_secs_f64() * 1e3)
}

pub(crate) fn median(samples: &mut [Duration]) -> Duration {
    samples.sort();
    samples[samples.len() / 2]
}

pub(crate) fn p99(samples: &mut [Duration]) -> Duration {
    samples.sort();
    samples[samples.len() * 99 / 100]
}

/// One call that succeeds, from spawn to exit.
pub(crate) fn time(call: &Call) -> Duration {
    let start = Instant::now();
    let answer = wait(call.start());
    let elapsed = start.elapsed();
    answer.success();
    elapsed
}

/// One call that is refused, from spawn to exit.
pub(crate) fn time_refusal(call: &Call) -> Duration {
    let start = Instant::now();
    let answer = wait(call.start());
    let elapsed = start.elapsed();
    assert_ne!(answer.status, Some(0), "{answer:?}");
    elapsed
}

/// Claim this many addresses, thirty-two at a time.
pub(crate) fn fill(configuration: &Value, held: usize) {
    let names: Vec<String> = (0..held).map(|n| format!("held-{n}")).collect();
    for names in names.chunks(32) {
        let children: Vec<_> = names.iter().map(|name| Call::new("ADD", name, configuration).start()).collect();
        for child in children {
            wait(child).success();
        }
    }
}

/// The same network for host-local.
pub(crate) fn host_local(directory: &Path) -> Value {
    json!({"cniVersion": "1.0.0", "name": "blue", "type": "bridge",
           "ipam": {"type": "host-local", "dataDir": directory, "ranges": [[{"subnet": "10.4.0.0/14"}]]}})
}

/// host-local's files as it writes them: one an address, and the last reserved one.
pub(crate) fn fill_host_local(directory: &Path, held: usize) {
    let folder = directory.join("blue");
    std::fs::create_dir_all(&folder).unwrap();
    let address = |n: usize| std::net::Ipv4Addr::from_bits(0x0a04_0002 + u32::try_from(n).unwrap());
    for n in 0..held {
        std::fs::write(folder.join(address(n).to_string()), format!("held-{n}\r\neth0")).unwrap();
    }
    if held > 0 {
        std::fs::write(folder.join("last_reserved_ip.0"), address(held - 1).to_string()).unwrap();
    }
}

/// The largest resident set of a call, in megabytes. What the kernel counts for children that have ended would include this
/// program's own, of which each begins as a copy: so the call is made by a process that looks at it before it ends.
pub(crate) fn peak_memory_mb(call: &Call) -> f64 {
    let looking = std::env::current_exe().unwrap();
    let answer = call.clone().by(&[looking.to_str().unwrap(), PEAK_MEMORY]).run();
    answer.success();
    answer.stderr.trim().parse::<f64>().unwrap() / 1024.0
}

/// The argument by which this program is asked to look at another, whose path is the next one.
pub(crate) const PEAK_MEMORY: &str = "peak-memory";

/// Run a program, and print the largest resident set that it has had, in kilobytes, beside what it prints.
#[allow(unsafe_code, reason = "only the child itself can ask to be followed, between fork and exec")]
#[allow(clippy::zombie_processes, reason = "every stop of the child is waited for, its end as the last")]
#[allow(clippy::print_stderr, reason = "the program's own answer is on stdout")]
pub(crate) fn print_peak_memory(program: &str) {
    let mut command = Command::new(program);
    // SAFETY: one system call, which allocates nothing.
    unsafe { command.pre_exec(|| ptrace::traceme().map_err(Into::into)) };
    let child = command.spawn().unwrap();
    let pid = Pid::from_raw(child.id().try_into().unwrap());
    // It stops once when it is loaded.
    waitpid(pid, None).unwrap();
    ptrace::setoptions(pid, ptrace::Options::PTRACE_O_TRACEEXIT).unwrap();
    let mut signal = None;
    loop {
        ptrace::cont(pid, signal).unwrap();
        signal = match waitpid(pid, None).unwrap() {
            WaitStatus::PtraceEvent(..) => None,
            WaitStatus::Stopped(_, signal) => Some(signal),
            _ => return,
        };
        if signal.is_none() {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
            let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
            eprintln!("{}", peak.trim().trim_end_matches(" kB"));
        }
    }
}
