//! What is done with decisions beyond following them: a shadow that is asked, a record that is kept.

use super::{Check, Verdict};
use crate::config::{Base, Network};
use crate::journal::{Tally, record, tally};
use crate::verbs::Shadow;
use engine::text::tame;
use limits::TEXT;

/// Whether the shadow can be asked, and how often it answered otherwise on this node. No pod waits for this: a module
/// that takes long to compile is compiled now.
pub(super) fn shadow(base: &Base, network: &Network) -> Option<Check> {
    let config = network.policy.shadow.as_ref()?;
    let shadow = match Shadow::new(config, &network.policy).load() {
        Ok(policy) => policy,
        Err(error) => {
            return Some(Check { verdict: Verdict::Warning, ..Check::failed("shadow", &error.into()) });
        }
    };
    let name = shadow.name();
    let counted = tally::read(&network.policy.cache_dir).unwrap_or_default();
    let ours = counted.iter().filter(|tally| tally.pair.network == base.network && tally.pair.shadow == *name);
    let counts: Vec<String> = ours.clone().map(describe).collect();
    let counts = if counts.is_empty() { "not asked yet".to_owned() } else { counts.join("; ") };
    let detail = format!("{name}, sha256 {}: {counts}", name.sha256);
    let faulted: u64 = ours.map(|tally| tally.faulted).sum();
    let verdict = if faulted > 0 { Verdict::Warning } else { Verdict::Good };
    let hint = (faulted > 0).then(|| "the log says how it faulted".to_owned());
    Some(Check { name: "shadow", verdict, detail, hint })
}

fn describe(tally: &Tally) -> String {
    let Tally { pair, asked, differed, faulted, since, .. } = tally;
    let policy = tame(&pair.policy.to_string(), TEXT.default);
    format!("asked {asked} times beside {policy} since {since:.0}, {differed} answers differed, {faulted} faults")
}

/// Whether decisions could be recorded.
pub(super) fn record(network: &Network) -> Option<Check> {
    let config = network.policy.record.as_ref()?;
    let file = &config.file;
    let directory = file.parent().filter(|directory| !directory.is_dir());
    let check = match (directory, record::size(file)) {
        (Some(directory), _) => Err(format!("{} is no directory", directory.display())),
        (None, Err(error)) => Err(format!("{}: {error}", file.display())),
        (None, Ok(bytes)) => {
            Ok(format!("{}, {bytes} of {} bytes before it is put aside", file.display(), config.most_bytes))
        }
    };
    Some(match check {
        Ok(detail) => Check::good("record", detail),
        Err(why) => Check {
            name: "record",
            verdict: Verdict::Warning,
            detail: format!("decisions are not recorded: {why}"),
            hint: Some("policy.record names a file in a directory that is there".to_owned()),
        },
    })
}
