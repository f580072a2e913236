//! `kube-ipam policy test`: cases are run against a module, each in a world of its own, and those that fail say why.

mod find;
mod junit;
mod print;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;

use super::trial::ArgumentError;
use crate::lab::case::{CaseError, CaseFile, Change, Trial, update};
use engine::{Policy, Source};
use find::{Module, Target};
use kube_ipam::cli::output::{CommandError, Done, Output};
use kube_ipam::cli::{Format, OutputArgs};
use kube_ipam::verbs;

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Cases, or a policy's directory: all cases in its tests directory, or in itself where it has none
    #[arg(value_name = "DIR|FILE", default_value = ".")]
    paths: Vec<PathBuf>,
    /// The module; by default the one a case names, or else the only one in the policy's directory. `builtin` is the
    /// policy inside this program
    #[arg(long, value_name = "FILE.wasm")]
    module: Option<PathBuf>,
    /// Write what is observed into the cases where it differs, or where they expect nothing yet
    #[arg(long)]
    update: bool,
    /// Write a report in JUnit's format, too
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

/// What came of one file.
struct Report {
    path: PathBuf,
    module: String,
    outcome: Result<(CaseFile, Trial), CaseError>,
    changes: Vec<Change>,
    took: Duration,
}

impl Report {
    fn is_passed(&self) -> bool {
        self.outcome.as_ref().is_ok_and(|(_, trial)| trial.is_passed())
    }
}

pub(crate) fn test(options: &Options) -> Done {
    let targets = find::targets(&options.paths)?;
    let mut modules = Modules::default();
    let reports = targets.iter().map(|target| modules.report(target, options)).collect::<Result<Vec<_>, _>>()?;
    if let Some(file) = &options.junit {
        let written = junit::report(&reports)
            .map_err(|error| io::Error::other(error.to_string()))
            .and_then(|text| std::fs::write(file, text));
        written.map_err(|cause| ArgumentError::Unwritable { file: file.clone(), cause })?;
    }
    let exit = u8::from(!reports.iter().all(Report::is_passed));
    let text = match options.output.output {
        Format::Json => serde_json::to_string_pretty(&print::json(&reports))?,
        Format::Table => print::text(&reports),
    };
    Ok(Output { text, exit })
}

/// Every module is compiled once, however many cases it has.
#[derive(Default)]
struct Modules(BTreeMap<Module, Policy>);

impl Modules {
    fn report(&mut self, target: &Target, options: &Options) -> Result<Report, CommandError> {
        let mut began = Instant::now();
        let (module, outcome, changes) = match CaseFile::read(&target.file) {
            Err(error) => (String::new(), Err(error), Vec::new()),
            Ok(file) => {
                let module = find::module(target, &file.case, options.module.as_deref())?;
                let policy = self.policy(&module)?;
                began = Instant::now(); // compiling is no part of a case
                let (outcome, changes) = run(file, policy, options.update)?;
                (module.to_string(), outcome, changes)
            }
        };
        Ok(Report { path: target.file.clone(), module, outcome, changes, took: began.elapsed() })
    }

    fn policy(&mut self, module: &Module) -> Result<&Policy, verbs::Error> {
        if !self.0.contains_key(module) {
            let source = Source::alone(module.file());
            self.0.insert(module.clone(), Policy::load(&source)?);
        }
        Ok(&self.0[module])
    }
}

type Ran = (Result<(CaseFile, Trial), CaseError>, Vec<Change>);

fn run(file: CaseFile, policy: &Policy, may_update: bool) -> std::io::Result<Ran> {
    let trial = match Trial::run(&file, policy.clone()) {
        Ok(trial) => trial,
        Err(error) => return Ok((Err(error), Vec::new())),
    };
    if !may_update {
        return Ok((Ok((file, trial)), Vec::new()));
    }
    let (text, changes) = update(&file, &trial);
    if text == file.text {
        return Ok((Ok((file, trial)), changes));
    }
    replace(&file.path, &text)?;
    let again =
        CaseFile::parse(&file.path, text).and_then(|file| Trial::run(&file, policy.clone()).map(|trial| (file, trial)));
    Ok((again, changes))
}

/// All of it or nothing, with the old file's mode.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    std::io::Write::write_all(&mut file, text.as_bytes())?;
    file.as_file().set_permissions(std::fs::metadata(path)?.permissions())?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests;
