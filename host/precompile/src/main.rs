//! `precompile DIR`: build the default policy and compile it for the target of this very program, so that the node's
//! program can carry it ready to run. A static program for the shipped target runs on the machine that builds it, which
//! spares a second build of the compiler. It is called from the root of the repository.

use std::error::Error;
use std::path::{Path, PathBuf};

use builders::rust;

fn main() -> Result<(), Box<dyn Error>> {
    let into = std::env::args_os().nth(1).map(PathBuf::from).ok_or("usage: precompile DIR")?;
    let component = rust::build_default(Path::new("."), &into.join("guest"))?;
    let code = compiler::compiling(env!("KUBE_IPAM_TARGET"))?.precompile_component(&component)?;
    write(&into.join("default.wasm"), &component)?;
    write(&into.join("default.cwasm"), &code)?;
    Ok(())
}

/// What has not changed stays as it is, or everything above `engine` would be built again.
fn write(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let is_the_same = std::fs::read(file).is_ok_and(|before| before == bytes);
    if is_the_same { Ok(()) } else { std::fs::write(file, bytes) }
}
