//! C: `policy.c` and every other `*.c` of the project, with the bindings that `wit-bindgen` makes of the world. A C
//! compiler knows nothing of components, so that the types are written into its module here.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{GuestError, encode, python, tool, wit};

/// The bindings of this version's world, for projects that carry none.
const BINDINGS: [(&str, &str); 5] = [
    ("allocation_policy.h", include_str!("../templates/c/bindings/allocation_policy.h")),
    ("allocation_policy.c", include_str!("../templates/c/bindings/allocation_policy.c")),
    ("helpers.h", include_str!("../templates/c/bindings/helpers.h")),
    ("helpers.c", include_str!("../templates/c/bindings/helpers.c")),
    ("system.c", include_str!("../templates/c/bindings/system.c")),
];

/// Flags for a library that is entered by its exports, and not by `main`. The stack comes first in memory (with Zig it
/// does by default), so that a stack that overflows traps instead of writing over data.
const FLAGS: [&str; 9] = [
    "-std=c17",
    "-O2",
    "-s",
    "-Wall",
    "-Wextra",
    "-mexec-model=reactor",
    "-Wl,-z,stack-size=131072",
    "-Wl,--gc-sections",
    "-ffunction-sections",
];

/// Flags for clang with Debian's C library for WebAssembly, which is in directories of its own below this one.
const CLANG: [&str; 2] = ["--target=wasm32-wasi", "--sysroot=/usr"];

const HINT: &str = "add ziglang to requirements.txt for `pip install`, or apt-get install clang lld wasi-libc \
                    libclang-rt-dev-wasm32";

/// Compile a core module, write the component type into it, and encode it as a component.
pub(super) fn build(directory: &Path, news: &dyn Fn(&str)) -> Result<Vec<u8>, GuestError> {
    let output = tool::target(directory)?.join("policy.core.wasm");
    let bindings = bindings(directory)?;
    let mut command = compiler(directory, news)?;
    command.current_dir(directory).args(FLAGS).arg("-I").arg(&bindings).arg("-o").arg(&output);
    command.args(sources(directory)?).args(sources(&bindings)?);
    let compiled = tool::run("the C compiler", &mut command, directory, HINT)?;
    let warnings = String::from_utf8_lossy(&compiled.stderr).trim().to_owned();
    if !warnings.is_empty() {
        news(&warnings);
    }
    let mut core = tool::read(&output)?;
    wit::embed(&mut core, &wit::folder(directory)?)?;
    encode(&core)
}

fn bindings(directory: &Path) -> Result<PathBuf, GuestError> {
    let own = directory.join("bindings");
    if own.is_dir() {
        return Ok(own);
    }
    let ours = tool::target(directory)?.join("bindings");
    std::fs::create_dir_all(&ours).map_err(GuestError::file(&ours))?;
    for (name, text) in BINDINGS {
        tool::write(&ours.join(name), text)?;
    }
    Ok(ours)
}

/// Every `*.c` of a directory, in order, so that the same sources make the same module on every machine.
fn sources(directory: &Path) -> Result<Vec<PathBuf>, GuestError> {
    let entries = std::fs::read_dir(directory).map_err(GuestError::file(directory))?;
    let mut sources: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "c"))
        .collect();
    sources.sort();
    Ok(sources)
}

/// Zig, which brings the C library along, or clang with Debian's. What is installed is used before anything is downloaded.
fn compiler(directory: &Path, news: &dyn Fn(&str)) -> Result<Command, GuestError> {
    if let Some(zig) = zig_of(directory) {
        return Ok(zig);
    }
    if succeeds(Command::new("zig").arg("version")) {
        return Ok(targeting(Command::new("zig")));
    }
    if clang_has_a_library() {
        let mut clang = Command::new("clang");
        clang.args(CLANG).arg("-Wl,--stack-first");
        return Ok(clang);
    }
    if directory.join("requirements.txt").is_file() {
        match python::install(directory, news) {
            // Without Python there are other ways to a C compiler, which the error below names.
            Ok(_) | Err(GuestError::NoTool { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    zig_of(directory).ok_or_else(|| tool::missing("a C compiler for WebAssembly", directory, HINT))
}

/// The Zig of PyPI, where it is installed in the project.
fn zig_of(directory: &Path) -> Option<Command> {
    let zig = directory.join(python::PACKAGES).join("ziglang/zig");
    zig.is_file().then(|| targeting(Command::new(zig)))
}

fn targeting(mut zig: Command) -> Command {
    zig.args(["cc", "-target", "wasm32-wasi"]);
    zig
}

/// Whether clang finds the start of a C library for WebAssembly. It prints a full path if so, and the bare name otherwise.
fn clang_has_a_library() -> bool {
    let found = Command::new("clang").args(CLANG).arg("-print-file-name=crt1-reactor.o").output();
    found.is_ok_and(|output| Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_absolute())
}

fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}
