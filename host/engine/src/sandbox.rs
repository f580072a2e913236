//! One run of a guest.
//!
//! ```text
//!      request, settings               a copy of the snapshot
//!             ▼                                  ▼
//!  ┌─ wasmtime::Store<Sandbox> ──────────────────────────────────┐
//!  │   guest instance ───────── pool, log ──────► Sandbox        │
//!  │     │     │                                    snapshot     │
//!  │     │     └ memory grows ── ResourceLimiter ►  counts       │
//!  │     │                                          log lines    │
//!  └── fuel, and the engine's epoch, which the Alarm advances ───┘
//!             ▼
//!      what it returned, or why it did not, what that cost, its log lines; the rest is dropped
//! ```
//!
//! Everything a guest has or may touch is in one `wasmtime::Store`, which is made for the run and dropped with it: there is no
//! reset that could be forgotten, and no state for a second run to find.
//!
//! Every limit is set before the first instruction, for instantiation runs code already: start functions. Four meters run
//! at once, because each is blind to something. *Fuel* counts instructions and is the same on every machine, but not what
//! the host does on the guest's behalf. *Calls* into the host and the bytes they carry are counted apart. *Time* is what
//! the operator cares about: an interval timer advances the engine's epoch, and a running guest looks at a clock when it
//! notices (`alarm`). *Memory*, tables and instances are asked for before they grow.
//!
//! A guest can end in more ways than it can return: by a limit, by a trap, by handing over what is not of its type, by a question
//! that the snapshot cannot answer yet, and by breaking wasmtime. `classify` makes a [`Stopped`] of each of them, and no
//! other file looks at the error of a run. The hostile guests in `tests/hostile` try all but the last.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use wasmtime::{Engine, ResourceLimiter, Store, Trap, UpdateDeadline};

use super::alarm::Alarm;
use super::bindings::{AllocationPolicy, AllocationPolicyPre};
use super::error::{Fault, Function};
use super::text::tame;
use ipam::{Question, Snapshot};
use limits::{FUEL, HOST_CALLS, LOG_LINES, Limit, Limits, MEMORY, PARTS, STACK, TABLE, TEXT, TIME, TRANSFER};

const _: () = assert!(STACK.default as usize * 1024 == compiler::STACK_BYTES);

/// What a run cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// In the unit of [`FUEL`]: about one for each instruction.
    pub fuel: u64,
    /// Calls into the host, which [`HOST_CALLS`] limits.
    pub host_calls: u64,
}

/// What the guest wrote to the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// As the guest said.
    pub level: tracing::Level,
    /// Safe for a log and a terminal.
    pub text: String,
}

/// A question of the guest to the pool, and what it was answered.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Asked {
    pub question: String,
    pub answer: String,
}

/// The host's side of a run.
pub(super) struct Sandbox {
    limits: Limits,
    snapshot: Option<Snapshot>,
    memory_bytes: u64,
    /// Whether the guest was told that its memory cannot grow.
    starved: bool,
    host_calls: u64,
    lines: Vec<Line>,
    /// What it asked, where somebody wants to know.
    asked: Option<Vec<Asked>>,
}

/// Why a guest did not return.
#[derive(Debug)]
pub(super) enum Stopped {
    /// The snapshot cannot answer this yet. That is nobody's fault.
    Unread(Question),
    /// The guest misbehaved in this function.
    Fault(Function, Fault),
}

/// A run that is over.
pub(super) struct Run<T> {
    pub(super) returned: Result<T, Stopped>,
    pub(super) spent: Spent,
    pub(super) lines: Vec<Line>,
    /// Empty unless somebody wants to know.
    pub(super) asked: Vec<Asked>,
}

/// How our side of a host call ends a run; travels through wasmtime as an error.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stop {
    #[error("the snapshot cannot answer this yet")]
    Unread(Question),
    #[error("{} {}", .0.seen, .0.key)]
    Limit(&'static Limit, u64),
    #[error("{0}")]
    Question(String),
}

/// Instantiate the policy and call one function of it.
pub(super) fn run<T>(
    pre: &AllocationPolicyPre<Sandbox>,
    limits: Limits,
    snapshot: Option<&Snapshot>,
    function: Function,
    is_recorded: bool,
    call: impl FnOnce(&AllocationPolicy, &mut Store<Sandbox>) -> wasmtime::Result<T>,
) -> Run<T> {
    // A store owns all that is in it. The snapshot is small enough to be copied: it knows some windows of the ranges.
    let mut store = store(pre.engine(), limits, snapshot.cloned());
    store.data_mut().asked = is_recorded.then(Vec::new);
    let alarm = Alarm::start(pre.engine());
    let mut at = Function::Start;
    // A module may make the engine itself panic. Caught here, that is a fault with the module's name in it.
    let ended = catch_unwind(AssertUnwindSafe(|| {
        let policy = pre.instantiate(&mut store)?;
        at = function;
        call(&policy, &mut store)
    }));
    drop(alarm);
    let fuel = limits.fuel - store.get_fuel().unwrap_or(0).min(limits.fuel);
    let spent = Spent { fuel, host_calls: store.data().host_calls };
    let lines = std::mem::take(&mut store.data_mut().lines);
    let asked = store.data_mut().asked.take().unwrap_or_default();
    let starved = store.data().starved;
    let returned = match ended {
        Ok(returned) => returned.map_err(|error| classify(error, at, limits, &lines, starved)),
        Err(panic) => {
            // Its state is unknown; dropping it might panic again.
            std::mem::forget(store);
            Err(Stopped::Fault(at, Fault::Engine(panic_text(&*panic))))
        }
    };
    Run { returned, spent, lines, asked }
}

/// A store with every limit set.
fn store(engine: &Engine, limits: Limits, snapshot: Option<Snapshot>) -> Store<Sandbox> {
    let (lines, asked) = (Vec::new(), None);
    let sandbox = Sandbox { limits, snapshot, memory_bytes: 0, starved: false, host_calls: 0, lines, asked };
    let mut store = Store::new(engine, sandbox);
    store.limiter(|sandbox| sandbox);
    // An engine that counts no fuel would be a bug of ours; a guest must not run then.
    store.set_fuel(limits.fuel).expect("the engine counts fuel");
    store.set_hostcall_fuel(TRANSFER.default as usize * 1024);
    let deadline = Instant::now() + Duration::from_millis(limits.milliseconds);
    // The epoch is the whole process's and ticks for every run in it, so it only says when to look at the clock.
    store.epoch_deadline_callback(move |_| {
        if Instant::now() >= deadline {
            return Err(Stop::Limit(&TIME, limits.milliseconds).into());
        }
        Ok(UpdateDeadline::Continue(1))
    });
    store.set_epoch_deadline(1);
    store
}

impl Sandbox {
    /// Count a call of the guest into the host.
    pub(super) fn count_call(&mut self) -> Result<(), Stop> {
        self.host_calls += 1;
        if self.host_calls > self.limits.host_calls {
            return Err(Stop::Limit(&HOST_CALLS, self.limits.host_calls));
        }
        Ok(())
    }

    /// What the guest may ask about; there is nothing outside `allocate`.
    pub(super) fn snapshot(&self) -> Result<&Snapshot, Stop> {
        self.snapshot.as_ref().ok_or_else(|| Stop::Question("the pool may only be asked by allocate".to_owned()))
    }

    /// Keep a question and its answer until the run is over, where somebody wants to know.
    pub(super) fn heard(&mut self, question: impl FnOnce() -> String, answer: impl FnOnce() -> String) {
        if let Some(asked) = &mut self.asked {
            asked.push(Asked { question: question(), answer: answer() });
        }
    }

    /// Keep a log line until the run is over.
    pub(super) fn keep_line(&mut self, level: tracing::Level, text: &str) -> Result<(), Stop> {
        if self.lines.len() as u64 >= LOG_LINES.default {
            return Err(Stop::Limit(&LOG_LINES, LOG_LINES.default));
        }
        self.lines.push(Line { level, text: tame(text, TEXT.default) });
        Ok(())
    }
}

impl ResourceLimiter for Sandbox {
    /// Counts all memories together, the initial size of each included.
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        // Beyond a maximum of its own the guest is told no, as WebAssembly has it, and may go on with what it has. Beyond our
        // limit the run ends at once, so that the error can name the limit.
        if maximum.is_some_and(|maximum| desired > maximum) {
            self.starved = true;
            return Ok(false);
        }
        let total = self.memory_bytes.saturating_add(desired.saturating_sub(current) as u64);
        if total > self.limits.memory_mib << 20 {
            return Err(Stop::Limit(&MEMORY, self.limits.memory_mib).into());
        }
        self.memory_bytes = total;
        Ok(true)
    }

    /// What the limits allow, this machine does not give.
    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.starved = true;
        Ok(())
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        if desired as u64 > TABLE.default {
            return Err(Stop::Limit(&TABLE, TABLE.default).into());
        }
        Ok(true)
    }

    fn instances(&self) -> usize {
        PARTS.default as usize
    }

    fn tables(&self) -> usize {
        PARTS.default as usize
    }

    fn memories(&self) -> usize {
        PARTS.default as usize
    }
}

/// What an error of wasmtime says of the guest. Ours travel inside it; the others are traps, or words.
fn classify(error: wasmtime::Error, at: Function, limits: Limits, lines: &[Line], starved: bool) -> Stopped {
    let error = match error.downcast::<Stop>() {
        Ok(Stop::Unread(question)) => return Stopped::Unread(question),
        Ok(Stop::Limit(limit, value)) => return Stopped::Fault(at, Fault::Limit { limit, value }),
        Ok(Stop::Question(what)) => return Stopped::Fault(at, Fault::Question(what)),
        Err(error) => error,
    };
    let fault = match error.downcast_ref::<Trap>() {
        Some(trap) => fault_of_trap(*trap, limits, lines),
        None => fault_of_text(&format!("{error:#}")),
    };
    match fault {
        Fault::Limit { .. } | Fault::NoMemory(_) => Stopped::Fault(at, fault),
        // Whatever it did next, the memory it was refused is what its author has to know of.
        fault if starved => Stopped::Fault(at, Fault::Starved(Box::new(fault))),
        fault => Stopped::Fault(at, fault),
    }
}

fn fault_of_trap(trap: Trap, limits: Limits, lines: &[Line]) -> Fault {
    let said = lines.iter().rev().find(|line| line.level == tracing::Level::ERROR).map(|line| line.text.clone());
    match (trap, said) {
        (Trap::OutOfFuel, _) => Fault::Limit { limit: &FUEL, value: limits.fuel },
        (Trap::Interrupt, _) => Fault::Limit { limit: &TIME, value: limits.milliseconds },
        (Trap::StackOverflow, _) => Fault::Limit { limit: &STACK, value: STACK.default },
        (
            Trap::StringOutOfBounds
            | Trap::ListOutOfBounds
            | Trap::InvalidDiscriminant
            | Trap::UnalignedPointer
            | Trap::InvalidChar,
            _,
        ) => Fault::Malformed(trap.to_string()),
        // The SDK's panic hook logs one line of this form before the trap.
        (Trap::UnreachableCodeReached, Some(said)) if said.starts_with("panicked at") => Fault::Panicked(said),
        // A guest keeps the larger part of its stack in its own memory.
        (Trap::MemoryOutOfBounds, said) => Fault::OutOfBounds(said),
        (trap, said) => Fault::Trapped { trap: trap.to_string().trim_start_matches("wasm trap: ").to_owned(), said },
    }
}

/// Some refusals of wasmtime carry no type; the hostile guests in `tests/hostile` notice should their words change.
fn fault_of_text(text: &str) -> Fault {
    if text.contains("fuel allocated for hostcalls") {
        Fault::Limit { limit: &TRANSFER, value: TRANSFER.default }
    } else if text.contains("resource limit exceeded") {
        Fault::Limit { limit: &PARTS, value: PARTS.default }
    } else if text.contains("mmap failed") {
        Fault::NoMemory(tame(text, TEXT.default))
    } else {
        Fault::Malformed(tame(text, TEXT.default))
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tame(text.unwrap_or("it panicked"), TEXT.default)
}
