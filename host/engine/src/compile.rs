//! Compiling a module, in a child process with little time and memory: a module may be built to make a compiler work
//! for hours. The child is a function from standard input to standard output; it opens no file. What a call has no time
//! to wait for, it does for the next one.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, Signal, getrlimit, set_parent_process_death_signal, setrlimit};
use wasmtime::component::Component;

use super::cache::{Draft, checksum, unseal};
use super::error::{Compiling, Flaw};
use super::text::tame;
use super::{examine, module, world};
use limits::{Limits, TEXT};

/// The hidden command that [`child`] implements; two numbers follow: seconds and MiB.
pub const COMMAND: [&str; 2] = ["policy", "compile-child"];

/// After the numbers, where the child shall go on when its parent has ended.
const TO_THE_END: &str = "to-the-end";

/// The child's exit codes: an artifact, or flaws as JSON, are on its standard output.
const ARTIFACT: u8 = 0;
const FLAWED: u8 = 3;

/// Every reason to refuse a module that shows at once: never none.
pub(super) type Flaws = Vec<Flaw>;

/// Who compiles a module that is not in the cache.
#[derive(Clone, Debug, Default)]
pub enum Compiler {
    /// A child process of our own program.
    #[default]
    Child,
    /// A child process of this program, which must understand [`COMMAND`].
    Program(PathBuf),
    /// This process: for commands that compile a module the user wrote.
    InProcess,
    /// Nobody: what is not in the cache is not loaded.
    Nobody,
}

/// How long a compiler is waited for, and where it leaves its code if that takes longer.
#[derive(Default)]
pub(super) struct Errand {
    pub(super) deadline: Option<Instant>,
    pub(super) draft: Option<Draft>,
}

impl Compiler {
    /// The compiled form of a module, or every reason to refuse it that shows at once.
    pub(super) fn compile(&self, wasm: &[u8], limits: Limits, errand: &Errand) -> Result<Vec<u8>, Flaws> {
        match self {
            Self::Nobody => Err(vec![Flaw::Uncompiled]),
            Self::InProcess => in_process(wasm),
            Self::Program(program) => in_child(program, wasm, limits, errand),
            Self::Child => {
                let program = std::env::current_exe().map_err(|error| broken("finding our own program", &error));
                in_child(&program.map_err(|flaw| vec![flaw])?, wasm, limits, errand)
            }
        }
    }
}

/// Examine, compile, and check the types against the world, all before the first instruction runs.
///
/// The examination comes first: it costs next to nothing, and it can say in plain words what is wrong with most modules that
/// are refused, where a compiler could not.
fn in_process(wasm: &[u8]) -> Result<Vec<u8>, Flaws> {
    let flaws = examine::examine(wasm).flaws;
    if !flaws.is_empty() {
        return Err(flaws);
    }
    // wasmtime's compiler may have bugs that show as panics.
    let compiled = catch_unwind(AssertUnwindSafe(|| {
        let component = component(wasm).map_err(|flaw| vec![flaw])?;
        match world::check_types(&component) {
            flaws if flaws.is_empty() => {
                component.serialize().map_err(|error| vec![broken("writing the code", &error)])
            }
            flaws => Err(flaws),
        }
    }));
    compiled.unwrap_or_else(|_| Err(vec![Flaw::Compiler("the compiler panicked".to_owned())]))
}

fn component(wasm: &[u8]) -> Result<Component, Flaw> {
    let engine = compiler::compiling(module::TARGET).map_err(|error| broken("making an engine", &error))?;
    Component::from_binary(&engine, &compiler::without_names(wasm))
        .map_err(|error| Flaw::Invalid(tame(&format!("{error:#}"), TEXT.default)))
}

fn in_child(program: &Path, wasm: &[u8], limits: Limits, errand: &Errand) -> Result<Vec<u8>, Flaws> {
    let (status, said) = run_child(program, wasm, limits, errand).map_err(|flaw| vec![flaw])?;
    let code = understand(status, said, limits)?;
    if errand.draft.is_none() {
        return Ok(code);
    }
    unseal(code).ok_or_else(|| vec![Flaw::Compiler("the code it left is cut off".to_owned())])
}

/// In the environment of the child: where another program stands in for ours, it shall not start a child of its own.
const CHILD: &str = "KUBE_IPAM_COMPILING";

fn run_child(program: &Path, wasm: &[u8], limits: Limits, errand: &Errand) -> Result<(ExitStatus, Vec<u8>), Flaw> {
    if std::env::var_os(CHILD).is_some() {
        return Err(Flaw::Compiler("a compiling child was asked to start another".to_owned()));
    }
    let mut command = Command::new(program);
    // Without our environment: what a runtime tells a plugin is nothing to a compiler, and may be secret.
    command
        .args(COMMAND)
        .args([limits.compile_seconds.to_string(), limits.compile_mib.to_string()])
        .env_clear()
        .env(CHILD, "1");
    let mut output = match &errand.draft {
        // The lock lasts as long as one of its descriptors, so the child gets one: in the place of a standard error that
        // nobody reads.
        Some(draft) => {
            command.arg(TO_THE_END).stderr(draft.lock.try_clone().map_err(not_handed_over)?);
            draft.file.try_clone().map_err(not_handed_over)?
        }
        None => {
            command.stderr(Stdio::null());
            in_memory(&[]).map_err(not_handed_over)?
        }
    };
    command.stdin(in_memory(wasm).map_err(not_handed_over)?);
    command.stdout(output.try_clone().map_err(not_handed_over)?);
    let mut child = command.spawn().map_err(|error| broken(&format!("starting {}", program.display()), &error))?;
    let status = wait(&mut child, Duration::from_secs(limits.compile_seconds), errand)?;
    let mut said = Vec::new();
    output.rewind().and_then(|()| output.read_to_end(&mut said)).map_err(|error| broken("reading the code", &error))?;
    Ok((status, said))
}

/// Wait for a child, but not forever. After the time for compiling it has been killed and reaped; after that of the
/// call
/// only if it cannot leave its code where the next call finds it.
fn wait(child: &mut Child, most: Duration, errand: &Errand) -> Result<ExitStatus, Flaw> {
    let began = Instant::now();
    let end = began + most;
    let until = errand.deadline.map_or(end, |deadline| deadline.min(end));
    // The kernel has no wait that ends. A small module takes 30 to 100 ms, of which this wastes 2 at most.
    while Instant::now() < until {
        if let Some(status) = child.try_wait().map_err(not_waited_for)? {
            return Ok(status);
        }
        sleep(Duration::from_millis(2));
    }
    let flaw = if until < end {
        Flaw::Unfinished { by: Compiling::Own, seconds: began.elapsed().as_secs() }
    } else {
        Flaw::CompileTime(most.as_secs())
    };
    if until == end || errand.draft.is_none() {
        child.kill().and_then(|()| child.wait()).map_err(not_waited_for)?;
    }
    Err(flaw)
}

fn understand(status: ExitStatus, said: Vec<u8>, limits: Limits) -> Result<Vec<u8>, Flaws> {
    let flaw = match (status.code(), status.signal()) {
        (Some(code), _) if code == i32::from(ARTIFACT) => return Ok(said),
        (Some(code), _) if code == i32::from(FLAWED) => {
            let told = serde_json::from_slice(&said);
            return Err(told.unwrap_or_else(|error| vec![broken("understanding the compiler", &error)]));
        }
        (_, Some(signal)) if signal == libc::SIGXCPU => Flaw::CompileTime(limits.compile_seconds),
        // An allocation that fails aborts; one that the kernel regrets is killed. A stack that cannot grow faults.
        (_, Some(libc::SIGABRT | libc::SIGKILL | libc::SIGSEGV)) => Flaw::CompileMemory(limits.compile_mib),
        _ => Flaw::Compiler(format!("the compiler ended with {status}")),
    };
    Err(vec![flaw])
}

/// The compiling child: `arguments` are what follows [`COMMAND`]. Returns the exit code of the process.
pub fn child(arguments: &[String], input: impl Read, mut output: impl Write) -> u8 {
    let to_the_end = arguments.get(2).is_some_and(|argument| argument == TO_THE_END);
    let confined = confine(arguments, to_the_end).map_err(|flaw| vec![flaw]);
    let compiled = confined.and_then(|()| {
        let wasm = read_bounded(input).map_err(|error| vec![broken("reading the module", &error)])?;
        in_process(&wasm)
    });
    let (code, said) = match compiled {
        // Nobody may be there to hear how we ended: what has a checksum is whole.
        Ok(artifact) if to_the_end => (ARTIFACT, [&artifact[..], &checksum(&artifact)].concat()),
        Ok(artifact) => (ARTIFACT, artifact),
        Err(flaws) => (FLAWED, serde_json::to_vec(&flaws).unwrap_or_default()),
    };
    match output.write_all(&said).and_then(|()| output.flush()) {
        Ok(()) => code,
        Err(_) => 1,
    }
}

/// Limits the kernel keeps, and no longer a life than our parent's unless it wants the code whenever that is done.
fn confine(arguments: &[String], to_the_end: bool) -> Result<(), Flaw> {
    let (Some(seconds), Some(mib)) = (number(arguments.first()), number(arguments.get(1))) else {
        return Err(Flaw::Compiler(format!("{} wants seconds and MiB", COMMAND.join(" "))));
    };
    // The first second above the limit ends with SIGXCPU, which says what happened; the next with SIGKILL.
    let time = Rlimit { current: Some(seconds), maximum: Some(seconds + 1) };
    set_parent_process_death_signal((!to_the_end).then_some(Signal::KILL))
        .and_then(|()| setrlimit(Resource::Cpu, time))
        .and_then(|()| lower_limit(Resource::As, mib << 20))
        // A compiler that dies as it is meant to leaves no image of its memory behind.
        .and_then(|()| lower_limit(Resource::Core, 0))
        .map_err(|error| broken("confining the compiler", &error))
}

fn number(argument: Option<&String>) -> Option<u64> {
    argument?.parse().ok()
}

/// Only root may go beyond what its parent was allowed, and need not.
fn lower_limit(resource: Resource, most: u64) -> Result<(), Errno> {
    let most = getrlimit(resource).maximum.map_or(most, |allowed| allowed.min(most));
    setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })
}

fn read_bounded(input: impl Read) -> io::Result<Vec<u8>> {
    let mut wasm = Vec::new();
    input.take((limits::MODULE.default << 20) + 1).read_to_end(&mut wasm)?;
    Ok(wasm)
}

/// A file without a name, so that neither a full disk nor a pipe that fills up is in the way.
fn in_memory(bytes: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create("kube-ipam policy", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}

fn not_handed_over(error: io::Error) -> Flaw {
    broken("handing the module to the compiler", &error)
}

fn not_waited_for(error: io::Error) -> Flaw {
    broken("waiting for the compiler", &error)
}

fn broken(doing: &str, error: &dyn std::fmt::Display) -> Flaw {
    Flaw::Compiler(format!("{doing}: {error:#}"))
}
