//! `kube-ipam policy build`: from sources to a component.

use std::path::PathBuf;

use clap::Args;

use crate::cli::output::{Done, Output};
use crate::policy::guest;

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The crate's directory
    #[arg(value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// Where the component goes; by default NAME.wasm in the current directory, NAME being the directory's
    #[arg(short, long, value_name = "FILE.wasm")]
    output: Option<PathBuf>,
}

pub(crate) fn build(options: Options) -> Done {
    let directory = options.directory.canonicalize()?;
    let component = guest::build(&directory, &directory.join("target"))?;
    let output = options.output.unwrap_or_else(|| {
        let name = directory.file_name().unwrap_or("policy".as_ref());
        PathBuf::from(name).with_extension("wasm")
    });
    std::fs::write(&output, &component)?;
    Ok(Output::text(format!("{}: {} bytes", output.display(), component.len())))
}
