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
use crate::lab::case::{CaseChange, CaseError, CaseFile, CaseRun, update};
use engine::{Policy, Source};
use find::{PolicyModule, Target};
use kube_ipam::cli::output::{CommandError, Done, Output};
use kube_ipam::cli::{Format, OutputArgs};
use kube_ipam::verbs;

#[derive(Args, Debug)]
pub(crate) struct TestOptions {
    /// Files with cases, or directories of policies: the cases in tests/ of each, or in itself where it has none
    #[arg(value_name = "DIR|FILE", default_value = ".")]
    paths: Vec<PathBuf>,
    /// Module to test, or `builtin` for the built-in policy [default: the one that a case names, or else the only one in
    /// the policy's directory]
    #[arg(long, value_name = "FILE.wasm")]
    module: Option<PathBuf>,
    /// Write observed outcomes into the cases where they differ, or where nothing is expected yet
    #[arg(long)]
    update: bool,
    /// Also write a report in the JUnit format
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

/// What came of one file.
struct CaseReport {
    path: PathBuf,
    module: String,
    outcome: Result<(CaseFile, CaseRun), CaseError>,
    changes: Vec<CaseChange>,
    took: Duration,
}

impl CaseReport {
    fn is_passed(&self) -> bool {
        self.outcome.as_ref().is_ok_and(|(_, trial)| trial.is_passed())
    }
}

pub(crate) fn run_cases(options: &TestOptions) -> Done {
    let mut modules = Modules::default();
    let mut reports = Vec::new();
    for target in find::targets(&options.paths)? {
        reports.push(modules.report(&target, options)?);
    }
    if let Some(file) = &options.junit {
        let written = junit::report(&reports)
            .map_err(|error| io::Error::other(error.to_string()))
            .and_then(|text| std::fs::write(file, text));
        written.map_err(|cause| ArgumentError::Unwritable { file: file.clone(), cause })?;
    }
    let exit = u8::from(!reports.iter().all(CaseReport::is_passed));
    let text = match options.output.output {
        Format::Json => serde_json::to_string_pretty(&print::json(&reports))?,
        Format::Table => print::text(&reports),
    };
    Ok(Output { text, exit })
}

/// The modules that are loaded. Each is compiled once, however many cases it has.
#[derive(Default)]
struct Modules(BTreeMap<PolicyModule, Policy>);

impl Modules {
    fn report(&mut self, target: &Target, options: &TestOptions) -> Result<CaseReport, CommandError> {
        let mut began = Instant::now();
        let (module, outcome, changes) = match CaseFile::read(&target.file) {
            Err(error) => (String::new(), Err(error), Vec::new()),
            Ok(file) => {
                let module = find::module(target, &file.case, options.module.as_deref())?;
                let policy = self.policy(&module)?;
                // Once more: compiling takes much longer than a case, and only the first case of a module waits for it.
                began = Instant::now();
                let (outcome, changes) = run(file, policy, options.update)?;
                (module.to_string(), outcome, changes)
            }
        };
        Ok(CaseReport { path: target.file.clone(), module, outcome, changes, took: began.elapsed() })
    }

    fn policy(&mut self, module: &PolicyModule) -> Result<&Policy, verbs::Error> {
        if !self.0.contains_key(module) {
            let source = Source::alone(module.file());
            self.0.insert(module.clone(), Policy::load(&source)?);
        }
        Ok(&self.0[module])
    }
}

type Ran = (Result<(CaseFile, CaseRun), CaseError>, Vec<CaseChange>);

fn run(file: CaseFile, policy: &Policy, may_update: bool) -> std::io::Result<Ran> {
    let trial = match CaseRun::run(&file, policy.clone()) {
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
    // Run again, so that the report tells of the file as it is now: rules that were left alone may still not be met.
    let again = match CaseFile::parse(&file.path, text) {
        Ok(file) => CaseRun::run(&file, policy.clone()).map(|trial| (file, trial)),
        Err(error) => Err(error),
    };
    Ok((again, changes))
}

/// Replace a file with all of this text or not at all, keeping its mode.
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
