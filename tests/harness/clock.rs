//! Another time of day for one process, without a seam in the program.
//!
//! A time namespace moves only the clocks that count from the boot. So the process is traced: where it is started, the vector
//! by which the kernel tells it of the vDSO is struck out, so that it asks the kernel for the time of day by a system call;
//! and each answer to that call is moved. Everything else it does is its own, and nothing of this is in the program.

use nix::sys::ptrace::{self, AddressType, Event, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;

use crate::program::{Answer, Call, wait};

/// The entry of the auxiliary vector that tells of the vDSO, and one that tells of nothing.
const AT_SYSINFO_EHDR: i64 = 33;
const AT_IGNORE: i64 = 1;
const WORD: u64 = 8;

/// Run a call whose clock is this many seconds ahead, or behind. `None` where this machine's processes cannot be traced so.
#[cfg(target_arch = "x86_64")]
pub fn shifted(call: &Call, seconds: i64) -> Option<Answer> {
    // It waits for its tracer, and then becomes the program.
    let child = call.clone().by(&["/bin/sh", "-c", "kill -STOP $$; exec \"$@\"", "sh"]).start();
    let pid = Pid::from_raw(child.id().try_into().unwrap());
    assert_eq!(waitpid(pid, Some(WaitPidFlag::WUNTRACED)).unwrap(), WaitStatus::Stopped(pid, Signal::SIGSTOP));
    ptrace::seize(pid, Options::PTRACE_O_TRACEEXEC | Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_EXITKILL)
        .unwrap();
    kill(pid, Signal::SIGCONT).unwrap();
    follow(pid, seconds);
    Some(wait(child))
}

#[cfg(not(target_arch = "x86_64"))]
pub fn shifted(_: &Call, _: i64) -> Option<Answer> {
    untested::untested("another time of day", "registers are read on x86_64 only");
    None
}

/// Until the process has ended, whose status is its parent's to read.
#[cfg(target_arch = "x86_64")]
fn follow(pid: Pid, seconds: i64) {
    let mut is_program = false;
    loop {
        let look = WaitPidFlag::WNOWAIT | WaitPidFlag::WEXITED | WaitPidFlag::WSTOPPED;
        if let Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) | Err(_) = waitid(Id::Pid(pid), look) {
            return;
        }
        let mut signal = None;
        match waitpid(pid, None) {
            Ok(WaitStatus::PtraceEvent(_, _, event)) if event == Event::PTRACE_EVENT_EXEC as i32 => {
                is_program = true;
                strike_out_the_vdso(pid);
            }
            Ok(WaitStatus::PtraceSyscall(_)) => move_the_time(pid, seconds),
            Ok(WaitStatus::Stopped(_, Signal::SIGTRAP | Signal::SIGSTOP | Signal::SIGCONT)) => {}
            Ok(WaitStatus::Stopped(_, own)) => signal = Some(own),
            Ok(_) => {}
            Err(_) => return,
        }
        let resumed = if is_program { ptrace::syscall(pid, signal) } else { ptrace::cont(pid, signal) };
        if resumed.is_err() {
            return;
        }
    }
}

/// On the stack, behind the arguments and the environment, each of which ends with a zero.
#[cfg(target_arch = "x86_64")]
fn strike_out_the_vdso(pid: Pid) {
    let mut at = ptrace::getregs(pid).unwrap().rsp + WORD;
    for _ in ["arguments", "environment"] {
        while read(pid, at) != 0 {
            at += WORD;
        }
        at += WORD;
    }
    while read(pid, at) != 0 {
        if read(pid, at) == AT_SYSINFO_EHDR {
            ptrace::write(pid, at as AddressType, AT_IGNORE).unwrap();
        }
        at += 2 * WORD;
    }
}

/// Where a system call has just told the time of day: `clock_gettime` of the clock 0, into seconds and nanoseconds. A call
/// that has only begun has no result yet, which reads as an error.
#[cfg(target_arch = "x86_64")]
fn move_the_time(pid: Pid, seconds: i64) {
    const CLOCK_GETTIME: u64 = 228;
    let registers = ptrace::getregs(pid).unwrap();
    if registers.orig_rax == CLOCK_GETTIME && registers.rdi == 0 && registers.rax == 0 {
        let told = read(pid, registers.rsi);
        ptrace::write(pid, registers.rsi as AddressType, told + seconds).unwrap();
    }
}

#[cfg(target_arch = "x86_64")]
fn read(pid: Pid, at: u64) -> i64 {
    ptrace::read(pid, at as AddressType).unwrap()
}
