//! What is done with decisions beyond following them: a shadow that is asked, a record that is kept, a log.

use super::{Check, Verdict};
use crate::config::{Base, Network};
use crate::journal::{Tally, record, tally};
use crate::telemetry;
use crate::verbs::Shadow;
use engine::text::tame;
use files::check_appendable;
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

/// Whether decisions can be recorded. No pod fails for want of a record, but whoever configured one counts on it.
pub(super) fn record(network: &Network) -> Option<Check> {
    let config = network.policy.record.as_ref()?;
    let file = config.file.display();
    Some(match record::size(&config.file) {
        Ok(bytes) => {
            Check::good("record", format!("{file}, {bytes} of {} bytes before it is rotated", config.most_bytes))
        }
        Err(error) => {
            let detail = format!("decisions are not recorded in {file}: {error}");
            Check { name: "record", verdict: Verdict::Bad, detail, hint: Some(record::HINT.to_owned()) }
        }
    })
}

/// The same of the log.
pub(super) fn log(base: &Base) -> Option<Check> {
    let file = base.log.file.as_ref()?;
    Some(match check_appendable(file) {
        Ok(()) => Check::good("log", file.display().to_string()),
        Err(error) => {
            let detail = format!("nothing is logged in {}: {error}", file.display());
            Check { name: "log", verdict: Verdict::Bad, detail, hint: Some(telemetry::HINT.to_owned()) }
        }
    })
}
