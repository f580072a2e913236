//! What watches calls: the shadow policy, the journal of decisions, the log and the counts. No pod fails for want of one of them.

use super::check::{Check, Verdict};
use crate::config::counts::counts_dir;
use crate::config::{Base, Network};
use crate::journal::{Tally, calls, record, tally};
use crate::telemetry;
use crate::verbs::Shadow;
use cni::NetConf;
use engine::text::tame;
use files::check_appendable;
use limits::TEXT;

/// Whether the shadow policy loads, and how often it differed on this node. A module that was never compiled is compiled
/// here, where no pod waits for it.
pub(super) fn shadow(base: &Base, network: &Network) -> Option<Check> {
    let config = network.policy.shadow.as_ref()?;
    let shadow = match Shadow::new(config, &network.policy).load() {
        Ok(policy) => policy,
        Err(error) => {
            return Some(Check { verdict: Verdict::Warning, ..Check::failed("shadow", &error.into()) });
        }
    };
    let name = shadow.name();
    let (mut counts, mut has_faulted) = (Vec::new(), false);
    for tally in tally::read(&network.policy.cache_dir).unwrap_or_default() {
        if tally.pair.network == base.network && tally.pair.shadow == *name {
            counts.push(describe(&tally));
            has_faulted |= tally.faulted > 0;
        }
    }
    if counts.is_empty() {
        counts.push("not asked yet".to_owned());
    }
    let mut check = Check::good("shadow", format!("{name}, sha256 {}: {}", name.sha256, counts.join("; ")));
    if has_faulted {
        check.verdict = Verdict::Warning;
        check.hint = Some("the log says how it faulted".to_owned());
    }
    Some(check)
}

fn describe(tally: &Tally) -> String {
    let Tally { pair, asked, differed, faulted, since, .. } = tally;
    let policy = tame(&pair.policy.to_string(), TEXT.default);
    format!("asked {asked} times beside {policy} since {since:.0}, {differed} answers differed, {faulted} faults")
}

/// Whether decisions can be recorded. Bad where they cannot: whoever configured a record counts on having it.
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

/// Whether the log can be written. Bad where it cannot although the configuration names it, for the same reason; nobody misses
/// the default one as badly.
pub(super) fn log(base: &Base) -> Option<Check> {
    let file = base.log.file.as_ref()?;
    let source = if base.log.given { "" } else { " (by default)" };
    Some(match check_appendable(file) {
        Ok(()) => Check::good("log", format!("{}{source}", file.display())),
        Err(error) => {
            let detail = format!("nothing is logged in {}{source}: {error}", file.display());
            let verdict = if base.log.given { Verdict::Bad } else { Verdict::Warning };
            Check { name: "log", verdict, detail, hint: Some(telemetry::HINT.to_owned()) }
        }
    })
}

/// A warning where calls cannot be counted, which nobody but a Prometheus misses. Before the first call there is no directory,
/// which is no reason for one.
pub(super) fn counts(netconf: &NetConf) -> Option<Check> {
    let directory = counts_dir(netconf)?;
    if !directory.exists() {
        return None;
    }
    let error = calls::check(&directory).err()?;
    let detail = format!("calls are not counted in {}: {error}", directory.display());
    let hint = "let root write to that directory, or set ipam.metrics to \"off\"".to_owned();
    Some(Check::warning("metrics", detail, Some(hint)))
}
