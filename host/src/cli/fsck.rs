//! `kube-ipam fsck`: do the records agree with each other, and if not, what mends them?

use std::io::{self, BufRead, IsTerminal, Write};

use clap::Args;
use serde::Serialize;

use super::output::{Done, Output};
use super::{Format, NetworkArgs};
use crate::plugin;
use crate::store::ordered::OrderedMap;
use crate::store::{Repair, Repaired, Store};
use crate::verbs;

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Mend what is found, after showing how
    #[arg(long)]
    repair: bool,
    /// Do not ask
    #[arg(long, requires = "repair")]
    yes: bool,
    /// Also delete what nobody can explain: unreadable addresses that no container claims, keys without meaning
    #[arg(long, requires = "repair")]
    discard: bool,
}

/// Disagreements that belong together, and what becomes of them.
#[derive(Debug, Serialize)]
struct Finding {
    problems: Vec<String>,
    remedy: String,
    outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    /// Nothing was asked for.
    Found,
    /// Mended.
    Repaired,
    /// Its records changed after they were read.
    Changed,
    /// Only deleting mends it, and that was not asked for.
    NeedsDiscard,
}

pub(crate) fn fsck(options: &Options, network: &NetworkArgs, format: Format) -> Done {
    let opened = network.open()?;
    let range_sets = opened.range_sets().unwrap_or_else(|error| {
        tracing::warn!("the ranges cannot be read, so a claim written again has no gateway: {error}");
        Default::default()
    });
    let repairs = plugin::block_on(async { Ok(opened.store.plan_repairs(&range_sets).await?) })?;
    let mut findings: Vec<Finding> = repairs.iter().map(|repair| found(repair, options)).collect();
    let wanted = options.repair && findings.iter().any(|finding| finding.outcome == Outcome::Found);
    let agreed = wanted && (options.yes || agreed_to(&report(&findings, options))?);
    if agreed {
        plugin::block_on(carry_out(&opened.store, &repairs, &mut findings))?;
    }
    let exit = u8::from(findings.iter().any(|finding| finding.outcome != Outcome::Repaired));
    let text = match format {
        Format::Json => serde_json::to_string_pretty(&findings)?,
        Format::Table => report(&findings, options),
    };
    Ok(Output { text, exit })
}

fn found(repair: &Repair, options: &Options) -> Finding {
    let outcome = if repair.discards && !options.discard { Outcome::NeedsDiscard } else { Outcome::Found };
    let problems = repair.mends.iter().map(ToString::to_string).collect();
    Finding { problems, remedy: repair.remedy.clone(), outcome }
}

async fn carry_out<M: OrderedMap>(
    store: &Store<M>,
    repairs: &[Repair],
    findings: &mut [Finding],
) -> Result<(), verbs::Error> {
    for (repair, finding) in repairs.iter().zip(findings) {
        if finding.outcome == Outcome::Found {
            finding.outcome = match store.repair(repair).await? {
                Repaired::Done => Outcome::Repaired,
                Repaired::Changed => Outcome::Changed,
            };
        }
    }
    Ok(())
}

/// Ask whoever sits at the terminal; nobody there is a no.
fn agreed_to(plan: &str) -> io::Result<bool> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Ok(false);
    }
    write!(io::stderr().lock(), "{plan}\ncarry this out? [y/N] ")?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn report(findings: &[Finding], options: &Options) -> String {
    if findings.is_empty() {
        return "every record agrees with every other".to_owned();
    }
    let mut text = String::new();
    for finding in findings {
        for problem in &finding.problems {
            text.push_str(&format!("✗ {problem}\n"));
        }
        let done = match finding.outcome {
            Outcome::Found => "",
            Outcome::Repaired => " (done)",
            Outcome::Changed => " (not done: its records changed meanwhile)",
            Outcome::NeedsDiscard => " (only with --discard)",
        };
        text.push_str(&format!("  → {}{done}\n", finding.remedy));
    }
    text + &conclusion(findings, options)
}

fn conclusion(findings: &[Finding], options: &Options) -> String {
    let total: usize = findings.iter().map(|finding| finding.problems.len()).sum();
    let count = |outcome| findings.iter().filter(|finding| finding.outcome == outcome).count();
    let plural = if total == 1 { "" } else { "s" };
    let mut text =
        format!("{total} disagreement{plural}, {} of {} repairs done", count(Outcome::Repaired), findings.len());
    match (count(Outcome::Found), count(Outcome::Changed)) {
        (1.., _) if options.repair => text.push_str("; --yes carries them out"),
        (1.., _) => text.push_str("; --repair mends them"),
        (_, 1..) => text.push_str("; run it again"),
        _ => {}
    }
    text
}
