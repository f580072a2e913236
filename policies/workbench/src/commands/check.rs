//! `kube-ipam policy check`: a module against the properties of every good policy.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::PossibleValuesParser;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::trial::{ArgumentError, module_file, read_network, read_settings};
use crate::lab::check::{self, CheckError, Counterexample, Effort, PropertyResult, Report, Subject};
use cni::{Args as CniArgs, NetConf};
use engine::PolicyError;
use kube_ipam::cli::output::{self, CommandError, Done, Output};
use kube_ipam::cli::{Format, OutputArgs};
use kube_ipam::config::Network;
use limits::{Limits, Thousands};

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The module; `builtin` is the policy inside this program
    #[arg(value_name = "FILE.wasm")]
    module: PathBuf,
    /// `policy.settings` of every world: JSON, or @FILE; by default those of --network
    #[arg(long, value_name = "JSON|@FILE")]
    settings: Option<String>,
    /// A network in place of generated ones: its configuration, or the `ipam` section alone
    #[arg(long, value_name = "FILE|JSON")]
    network: Option<String>,
    /// An annotation that the policy reads beside those of its description: pods have it with odd values; may be repeated
    #[arg(long, value_name = "NAME")]
    annotation: Vec<String>,
    /// Worlds for each property
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..))]
    cases: u32,
    /// The same seed, the same worlds; by default another one each time
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Only this property; may be repeated
    #[arg(long, value_name = "PROPERTY", value_parser = PossibleValuesParser::new(check::names()))]
    only: Vec<String>,
    /// Where a world that breaks a property is saved as a test case; by default tests/ beside the module
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) fn check(options: &Options) -> Done {
    let subject = subject(options)?;
    let seed = options.seed.unwrap_or_else(|| Timestamp::now().subsec_nanosecond().unsigned_abs().into());
    let effort = Effort { only: options.only.clone(), worlds: options.cases, seed };
    let for_people = options.output.output == Format::Table;
    if for_people {
        output::line(&format!("{}: {} worlds for each property, seed {seed}", options.module.display(), effort.worlds));
    }
    let report = check::check(&subject, &effort, |result| {
        if for_people {
            output::line(&line(result));
        }
    });
    let report = report.map_err(|error| explained(error, &subject))?;
    let exit = u8::from(!report.is_good());
    let saved = save(&report, options)?;
    let text = match for_people {
        true => summary(&report, &saved, options),
        false => serde_json::to_string_pretty(&in_json(&report, &saved))?,
    };
    Ok(Output { text, exit })
}

fn subject(options: &Options) -> Result<Subject, CommandError> {
    let network = options.network.as_deref().map(read_network).transpose()?;
    let configured = network.as_ref().map(configured).transpose()?;
    let (limits, own) = configured.unwrap_or((Limits::default(), Map::new()));
    let settings = options.settings.as_deref().map(read_settings).transpose()?;
    let module = module_file(options.module.clone());
    let annotations = options.annotation.clone();
    Ok(Subject { module, settings: settings.unwrap_or(own), annotations, network, limits })
}

/// What its policy may spend, and its settings.
fn configured(ipam: &Map<String, Value>) -> Result<(Limits, Map<String, Value>), CommandError> {
    let mut ipam = ipam.clone();
    ipam.insert("type".to_owned(), json!("kube-ipam"));
    // Nobody is asked here: how the API server is reached need not be known.
    ipam.remove("kubernetes");
    let netconf = json!({"cniVersion": "1.1.0", "name": "lab", "ipam": ipam}).to_string();
    let policy = Network::read(&NetConf::parse(netconf.as_bytes())?, &CniArgs::default())?.policy;
    Ok((policy.limits, serde_json::from_str(&policy.settings)?))
}

/// An author who gives no settings may not know that some are needed.
fn explained(error: CheckError, subject: &Subject) -> CheckError {
    match error {
        CheckError::Policy(error @ PolicyError::Settings { .. }) if subject.settings.is_empty() => {
            CheckError::NoSettings(error)
        }
        error => error,
    }
}

/// A file for each broken property.
fn save(report: &Report, options: &Options) -> Result<Vec<(&'static str, PathBuf)>, ArgumentError> {
    let beside = || options.module.parent().unwrap_or(Path::new("")).join("tests");
    let directory = options.save.clone().unwrap_or_else(beside);
    let mut saved = Vec::new();
    for (result, example) in report.results.iter().filter_map(|result| Some((result, result.counterexample.as_ref()?)))
    {
        let Some(case) = example.test_case() else { continue };
        let file = directory.join(format!("{}-{}.yaml", result.name, report.seed));
        let made = std::fs::create_dir_all(&directory)
            .and_then(|()| case.map_err(|error| io::Error::other(error.to_string())));
        match made.and_then(|case| std::fs::write(&file, case)) {
            Ok(()) => saved.push((result.name, file)),
            Err(cause) => return Err(ArgumentError::Unwritable { file, cause }),
        }
    }
    Ok(saved)
}

fn line(result: &PropertyResult) -> String {
    let PropertyResult { name, worlds, concerned, worst, took, .. } = result;
    let mark = match (&result.counterexample, concerned) {
        (Some(_), _) => "✗",
        (None, 0) => "–",
        (None, _) => "✓",
    };
    let mut line = format!("{mark} {name:<24} {concerned:>4} of {worlds} worlds");
    if worst.fuel > 0 {
        let (fuel, share) = (Thousands(worst.fuel).to_string(), 100 * worst.fuel / result.limits.fuel);
        line.push_str(&format!("  worst {fuel:>10} fuel ({share}%), {} host calls", worst.host_calls));
    }
    line.push_str(&format!("  {:.1} s", took.as_secs_f64()));
    if let Some(example) = &result.counterexample {
        line.push_str(&format!("\n  {}", example.what));
    }
    line
}

fn summary(report: &Report, saved: &[(&'static str, PathBuf)], options: &Options) -> String {
    let mut parts: Vec<String> = Vec::new();
    for result in &report.results {
        if let Some(example) = &result.counterexample {
            let file = saved.iter().find(|(name, _)| *name == result.name).map(|(_, file)| file.as_path());
            parts.push(told(result, example, file));
        }
    }
    if let Some(refused) = &report.never_served {
        parts.push(format!(
            "✗ it gave no address in any world, so nothing was checked; its last refusal: {refused}\n  \
             hint: give --settings and --network that belong together"
        ));
    }
    let (module, seed) = (options.module.display(), report.seed);
    parts.push(match report.is_good() {
        true => {
            let more = match options.annotation.is_empty() {
                true => "; annotations that the policy does not name in its description are tried by --annotation NAME",
                false => "",
            };
            format!("nothing is wrong that these worlds could show{more}")
        }
        false => format!("the same worlds again: kube-ipam policy check {module} --seed {seed}, with the same options"),
    });
    parts.join("\n\n")
}

fn told(result: &PropertyResult, example: &Counterexample, file: Option<&Path>) -> String {
    let mut text = format!("{}\n  {}\n  because {}", result.name, example.what, result.why);
    if let Some(Ok(case)) = example.test_case() {
        let world: String =
            case.lines().filter(|line| !line.starts_with("about:")).map(|line| format!("\n    {line}")).collect();
        text.push_str(&format!("\n  the smallest world in which it is so:{world}"));
    }
    if let Some(file) = file {
        text.push_str(&format!("\n  saved as {}", file.display()));
    }
    text
}

fn in_json(report: &Report, saved: &[(&'static str, PathBuf)]) -> Value {
    let files: Map<String, Value> = saved.iter().map(|(name, file)| ((*name).to_owned(), json!(file))).collect();
    json!({
        "policy": report.policy, "version": report.description.version, "seed": report.seed, "good": report.is_good(),
        "neverServed": report.never_served, "properties": report.results, "saved": files,
    })
}
