//! Whether every member of etcd answers, how they are, and whether etcd is looked after: its versions, leader, alarms, size,
//! history, certificates and clocks.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use super::check::Check;
use super::clock;
use crate::cli::network::Opened;
use crate::config::Base;
use limits::{CERTIFICATE_DAYS, ETCD_FULL, ETCD_SLOW};
use store::etcd::{Aside, Etcd, FaultKind, History, Member, MemberStatus, dated_certificates, faults_of, is_outdated};
use store::{EtcdConfig, Map, StoreConfig, StoreError};

/// etcd's quota where nobody sets another.
const DEFAULT_QUOTA: u64 = 2 << 30;

/// Revisions that are no reason yet to look for whoever compacts etcd.
const YOUNG: i64 = 10_000;

/// A member that does not answer is a warning, because the others serve pods. Where none answers, the check of the store
/// says why, and there is no check here; neither is there for the embedded store.
pub(super) async fn etcd(opened: &Opened) -> Vec<Check> {
    let (Map::Etcd(etcd), StoreConfig::Etcd(config)) = (opened.store.map(), &opened.base.store) else {
        return Vec::new();
    };
    let members = etcd.members().await;
    let mut checks = each(&members);
    let statuses: Vec<(&str, &MemberStatus)> =
        members.iter().filter_map(|member| Some((member.endpoint.as_str(), member.status.as_ref().ok()?))).collect();
    if checks.is_empty() {
        return certificates(config, &members);
    }
    for (endpoint, status) in &statuses {
        checks.extend(versions(endpoint, status, config.user.is_some()));
    }
    checks.extend(leader(&statuses));
    checks.extend(alarms(etcd).await);
    checks.extend(size(&statuses, &members));
    checks.extend(history(etcd, &opened.base).await);
    checks.extend(certificates(config, &members));
    for member in &members {
        if let Ok(Aside { clock: Some(ahead), .. }) = &member.aside {
            checks.push(clock::compared(&format!("etcd at {}", member.endpoint), *ahead));
        }
    }
    checks
}

/// A line for those that answer, and one for each that does not.
fn each(members: &[Member]) -> Vec<Check> {
    let (mut answering, mut silent, mut slowest) = (Vec::new(), Vec::new(), Duration::ZERO);
    for Member { endpoint, status, .. } in members {
        match status {
            Ok(status) => {
                slowest = slowest.max(status.took);
                let role = if status.is_leader { ", leader" } else { "" };
                answering.push(format!("{endpoint} {} ({:.1?}{role})", status.version, status.took));
            }
            // With authentication on, not every user may ask for it. The member answered all the same.
            Err(StoreError::Refused { .. }) => {
                answering.push(format!("{endpoint} (this user may not read its version)"))
            }
            Err(error) => silent.push(Check::warning("etcd", error.to_string(), error.hint())),
        }
    }
    if answering.is_empty() {
        return Vec::new();
    }
    let mut checks = vec![Check::good("etcd", answering.join(", "))];
    if slowest > ETCD_SLOW {
        checks.push(Check::warning(
            "etcd",
            format!("a member took {slowest:.1?} to answer: an ADD waits for two answers, one of them from disk"),
            Some(
                "check the network to it and its disk: `etcdctl check perf`, `etcdctl endpoint status -w table`"
                    .to_owned(),
            ),
        ));
    }
    checks.extend(silent);
    checks
}

fn versions(endpoint: &str, status: &MemberStatus, tells_users_apart: bool) -> Vec<Check> {
    let version = &status.version;
    let mut checks = Vec::new();
    for fault in faults_of(version) {
        if fault.kind == FaultKind::Rights && !tells_users_apart {
            continue;
        }
        let detail = format!("{endpoint} runs {version}: {}", fault.what);
        let hint = Some(format!("upgrade etcd to {} or later", fault.repaired_in));
        checks.push(match fault.kind {
            FaultKind::Data => Check::bad("etcd version", detail, hint),
            FaultKind::Service | FaultKind::Rights => Check::warning("etcd version", detail, hint),
        });
    }
    if is_outdated(version) {
        let detail = format!("{endpoint} runs {version}, which nobody repairs any more");
        checks.push(Check::warning(
            "etcd version",
            detail,
            Some("upgrade etcd, one minor version at a time".to_owned()),
        ));
    }
    checks
}

fn leader(statuses: &[(&str, &MemberStatus)]) -> Vec<Check> {
    let mut checks = Vec::new();
    for (endpoint, status) in statuses {
        if !status.has_leader {
            checks.push(Check::bad(
                "etcd leader",
                format!(
                    "{endpoint} knows of no leader: most of the members are down or cannot reach it, and no ADD works"
                ),
                Some("start the members that are missing: `etcdctl endpoint status --cluster -w table`".to_owned()),
            ));
        }
        if status.is_learner {
            checks.push(Check::warning(
                "etcd leader",
                format!("{endpoint} is a learner: it has no vote, and refuses most requests"),
                Some("promote it, or leave it out of etcdURL: `etcdctl member promote ID`".to_owned()),
            ));
        }
    }
    let clusters: BTreeSet<u64> = statuses.iter().map(|(_, status)| status.cluster).collect();
    if clusters.len() > 1 {
        checks.push(Check::bad(
            "etcd leader",
            "the endpoints in etcdURL are members of different clusters: pods get addresses of either, some twice"
                .to_owned(),
            Some("name members of one cluster only: `etcdctl member list` shows them".to_owned()),
        ));
    }
    checks
}

/// NOSPACE is the store's to tell, because an ADD does not work with it.
async fn alarms(etcd: &Etcd) -> Option<Check> {
    match etcd.alarms().await {
        Ok(alarms) if alarms.contains(&"CORRUPT") => Some(Check::bad(
            "etcd alarm",
            "the members have raised the alarm CORRUPT: they do not have the same data".to_owned(),
            Some(
                "stop the member that differs, remove and add it again (etcd's documentation, \"Data corruption\"), then \
                 `etcdctl alarm disarm`"
                    .to_owned(),
            ),
        )),
        Ok(_) => None,
        // Only etcd's root may ask where users are told apart.
        Err(StoreError::Refused { .. }) => None,
        Err(error) => Some(Check::warning("etcd alarm", error.to_string(), error.hint())),
    }
}

/// The fullest member counts: the first one that is full stops all of them.
fn size(statuses: &[(&str, &MemberStatus)], members: &[Member]) -> Option<Check> {
    let (endpoint, fullest) = statuses.iter().max_by_key(|(_, status)| status.size)?;
    let (quota, is_told) = quota(fullest, members);
    let percent = fullest.size.saturating_mul(100) / quota.max(1);
    let source = if is_told { "" } else { ", which etcd did not tell: this is its default" };
    let detail = format!(
        "{}, {} of them in use, on {endpoint}: {percent} % of the quota of {}{source}",
        mebibytes(fullest.size),
        mebibytes(fullest.in_use),
        mebibytes(quota)
    );
    if percent < ETCD_FULL {
        return Some(Check::good("etcd size", detail));
    }
    let defragment = if fullest.in_use < fullest.size / 2 {
        "half of it is free inside: `etcdctl defrag --cluster`"
    } else {
        "compact it (`etcdctl compact REVISION`), then `etcdctl defrag --cluster`"
    };
    let hint = format!(
        "{defragment}; or raise --quota-backend-bytes, up to 8 GiB. At 100 % etcd refuses every ADD until `etcdctl alarm \
         disarm`"
    );
    Some(Check::warning("etcd size", detail, Some(hint)))
}

/// The size at which a member refuses to grow, and whether etcd has told it.
pub(crate) fn quota(member: &MemberStatus, members: &[Member]) -> (u64, bool) {
    let told = member.quota.or_else(|| members.iter().find_map(|member| member.aside.as_ref().ok()?.quota));
    (told.unwrap_or(DEFAULT_QUOTA), told.is_some())
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

async fn history(etcd: &Etcd, base: &Base) -> Option<Check> {
    let StoreConfig::Etcd(EtcdConfig { prefix, .. }) = &base.store else { return None };
    // Where this user may not read, or nobody answers any more, the check of the store says so.
    etcd.history(&format!("{prefix}/v1/")).await.ok().map(judge_history)
}

fn judge_history(history: History) -> Check {
    let hint = "start etcd with --auto-compaction-mode=periodic --auto-compaction-retention=1h, or let a job compact it \
                (where it is Kubernetes' own, kube-apiserver does); about a million pod starts fill the default quota";
    let name = "etcd history";
    match history {
        History::Whole { revisions } if revisions > YOUNG => Check::warning(
            name,
            format!(
                "never compacted: all {revisions} revisions since it was created are kept, and its database only grows"
            ),
            Some(hint.to_owned()),
        ),
        History::Whole { revisions } => Check::good(
            name,
            format!("not compacted yet; at revision {revisions} it is too early to tell whether it will be"),
        ),
        History::Long { kept } => Check::warning(
            name,
            format!("compacted once, but more than {kept} revisions are kept since"),
            Some(hint.to_owned()),
        ),
        History::Compacted => Check::good(name, "it is compacted".to_owned()),
    }
}

fn certificates(config: &EtcdConfig, members: &[Member]) -> Vec<Check> {
    let mut dated = Vec::new();
    for certificate in dated_certificates(config) {
        dated.push((format!("{} {}", certificate.field, certificate.path.display()), certificate.until));
    }
    for Member { endpoint, aside, .. } in members {
        if let Ok(Aside { certificate: Some(until), .. }) = aside {
            dated.push((format!("of {endpoint}"), *until));
        }
    }
    judge_dates(&dated, Timestamp::now())
}

/// One line for all that are valid for long, and one for each that is not.
fn judge_dates(dated: &[(String, Timestamp)], now: Timestamp) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut least: Option<i64> = None;
    for (whose, until) in dated {
        let days = until.duration_since(now).as_hours().div_euclid(24);
        if *until <= now {
            let detail = format!("{whose} expired on {until:.0}");
            checks.push(Check::bad("certificates", detail, Some(RENEW.to_owned())));
        } else if days < CERTIFICATE_DAYS {
            let detail = format!("{whose} expires on {until:.0}, in {}", counted_days(days));
            checks.push(Check::warning("certificates", detail, Some(RENEW.to_owned())));
        } else {
            least = Some(least.map_or(days, |least| least.min(days)));
        }
    }
    if let (true, Some(least)) = (checks.is_empty(), least) {
        checks.push(Check::good("certificates", format!("{} of them; the first expires in {least} days", dated.len())));
    }
    checks
}

const RENEW: &str = "renew it: the file is read at every call, a member reads its own again at every connection";

fn counted_days(days: i64) -> String {
    if days == 1 { "1 day".to_owned() } else { format!("{days} days") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::check::Verdict;

    fn status(version: &str) -> MemberStatus {
        MemberStatus {
            version: version.to_owned(),
            took: Duration::from_millis(2),
            cluster: 1,
            is_leader: true,
            has_leader: true,
            is_learner: false,
            size: 1 << 20,
            in_use: 1 << 20,
            quota: None,
            revision: 9,
        }
    }

    fn verdicts(checks: &[Check]) -> Vec<Verdict> {
        checks.iter().map(|check| check.verdict).collect()
    }

    #[test]
    fn a_version_is_judged_by_what_it_does_to_this_site() {
        let of = |version: &str, users| verdicts(&versions("http://a", &status(version), users));
        assert_eq!(of("3.5.1", false), [Verdict::Bad, Verdict::Warning, Verdict::Warning]);
        assert_eq!(of("3.5.1", true).len(), 4, "users' rights count where there are users");
        assert_eq!(of("3.3.10", false), [Verdict::Warning]);
        assert_eq!(of("3.6.11", true), []);
    }

    #[test]
    fn the_quota_counts_from_eighty_percent_on_and_says_where_it_is_from() {
        let of = |size, quota| {
            let status = MemberStatus { size, quota, ..status("3.6.11") };
            size_of(&status)
        };
        let check = of(100 << 20, Some(1 << 30));
        assert!(check.verdict == Verdict::Good && !check.detail.contains("default"), "{check}");
        let check = of(DEFAULT_QUOTA / 10 * 9, None);
        assert!(check.verdict == Verdict::Warning && check.detail.contains("this is its default"), "{check}");
    }

    fn size_of(status: &MemberStatus) -> Check {
        size(&[("http://a", status)], &[]).unwrap()
    }

    #[test]
    fn a_history_that_only_grows_is_doubtful() {
        let of = |history| judge_history(history).verdict;
        assert_eq!(of(History::Whole { revisions: YOUNG }), Verdict::Good, "too young to tell");
        assert_eq!(of(History::Whole { revisions: YOUNG + 1 }), Verdict::Warning);
        assert_eq!((of(History::Long { kept: 1 }), of(History::Compacted)), (Verdict::Warning, Verdict::Good));
    }

    #[test]
    fn endpoints_of_two_clusters_and_a_member_without_a_leader_are_bad() {
        let (one, other) = (status("3.6.11"), MemberStatus { cluster: 2, ..status("3.6.11") });
        assert_eq!(verdicts(&leader(&[("a", &one), ("b", &other)])), [Verdict::Bad]);
        let lost = MemberStatus { has_leader: false, ..status("3.6.11") };
        assert_eq!(verdicts(&leader(&[("a", &lost)])), [Verdict::Bad]);
        assert_eq!(verdicts(&leader(&[("a", &one)])), []);
    }

    #[test]
    fn certificates_are_told_before_they_expire() {
        let day = |days: i64| Timestamp::from_second(days * 86_400 + 10).unwrap();
        let of = |days: &[i64]| {
            let dated: Vec<_> = days.iter().map(|days| (format!("etcdCertFile /{days}"), day(*days))).collect();
            judge_dates(&dated, Timestamp::UNIX_EPOCH)
        };
        assert_eq!(verdicts(&of(&[-1, 3, 300])), [Verdict::Bad, Verdict::Warning]);
        assert!(of(&[300, 200])[0].detail.ends_with("the first expires in 200 days"));
        assert!(of(&[]).is_empty());
    }
}
