//! `kube-ipam policy build` makes a component of a project's sources, and says whether the host would take it.

use std::path::{Path, PathBuf};

use clap::Args;

use builders::GuestError;
use cni::Fail;
use kube_ipam::cli::output::{Done, Output, line};
use kube_ipam::cli::policy::inspect;
use limits::Thousands;

#[derive(Args, Debug)]
pub(crate) struct BuildOptions {
    /// Directory of the project, with Cargo.toml, package.json, policy.py or policy.c in it
    #[arg(value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// File to write the component to [default: a file in the project's directory, named after it]
    #[arg(short, long, value_name = "FILE.wasm")]
    output: Option<PathBuf>,
}

pub(crate) fn build(options: BuildOptions) -> Done {
    let directory = found(&options.directory).map_err(BuildError)?;
    let component = builders::build(&directory, &line).map_err(BuildError)?;
    let output = options.output.unwrap_or_else(|| {
        let name = directory.file_name().unwrap_or("policy".as_ref());
        options.directory.join(name).with_added_extension("wasm")
    });
    std::fs::write(&output, &component).map_err(|source| BuildError(unusable(&output, source)))?;
    let inspection = inspect::look(&output, None)?;
    if !inspection.refused.is_empty() {
        // The file stays where it is: an author wants to look into it with other tools.
        let text =
            format!("{} was built, but no network could use it\n{}", output.display(), inspect::describe(&inspection));
        return Ok(Output { text, exit: 1 });
    }
    let (bytes, sha256) = (Thousands(component.len() as u64), inspection.sha256.unwrap_or_default());
    Ok(Output::text(format!("{}: {bytes} bytes, sha256 {sha256}", output.display())))
}

/// Why a project did not become a component.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct BuildError(GuestError);

impl Fail for BuildError {
    fn hint(&self) -> Option<String> {
        self.0.hint()
    }
}

fn found(directory: &Path) -> Result<PathBuf, GuestError> {
    directory.canonicalize().map_err(|source| unusable(directory, source))
}

fn unusable(path: &Path, source: std::io::Error) -> GuestError {
    GuestError::File { path: path.display().to_string(), source }
}
