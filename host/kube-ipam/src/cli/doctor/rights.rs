//! The API server: whether it answers, knows the node, grants what is asked of it, and has the same time.

use jiff::{SignedDuration, Timestamp};

use super::check::{Check, Verdict};
use super::clock;
use crate::cli::network::Opened;
use crate::cli::output::counted;
use crate::config::{KubernetesConfig, Network};
use cluster::{self, ApiServer, DatedToken, RIGHTS, Right};
use limits::{CERTIFICATE_DAYS, TOKEN_LEFT};

/// The detail says which kubeconfig is used and why that one. Where the server does not answer, nothing else is asked.
pub(super) async fn api_server(opened: &Opened, network: &Network) -> Vec<Check> {
    let name = "API server";
    let Some(kubernetes) = &network.kubernetes else { return Vec::new() };
    let why = KubernetesConfig::reason(&opened.netconf).unwrap_or_default();
    let file = format!("{} ({why})", kubernetes.kubeconfig.display());
    let server = ApiServer::of_kubeconfig(&kubernetes.kubeconfig);
    let answered = match server.node(&opened.base.node).await {
        Ok(_) => Check::good(name, format!("reachable with {file}; the node exists")),
        Err(error) => {
            let verdict = match error {
                cluster::Error::Absent { .. } | cluster::Error::Forbidden { .. } => Verdict::Warning,
                _ => Verdict::Bad,
            };
            let failed = Check::failed(name, &error.into());
            Check { verdict, detail: format!("with {file}: {}", failed.detail), ..failed }
        }
    };
    let is_reachable = answered.verdict != Verdict::Bad;
    let mut checks = vec![answered];
    if let Some(dated) = server.dated_token().await {
        checks.push(judge_token(&dated, Timestamp::now()));
    }
    if is_reachable {
        checks.extend(rights(&server).await);
        if let Ok(Some(ahead)) = server.clock().await {
            checks.push(clock::compared("the API server", ahead));
        }
    }
    checks
}

/// A token of a service account lives for an hour or for a year, and is renewed by whoever wrote it.
fn judge_token(dated: &DatedToken, now: Timestamp) -> Check {
    let DatedToken { file, since, until } = dated;
    let left = until.duration_since(now);
    let file = file.display();
    let renew = Some(format!(
        "renew it regularly, as `kube-ipam install-node --watch` does; it stands in {file}, which is read at every call"
    ));
    if left <= SignedDuration::ZERO {
        return Check::bad("token", format!("that of {file} expired on {until:.0}"), renew);
    }
    let days = left.as_hours() / 24;
    let when = match usize::try_from(days).unwrap_or_default() {
        0 => format!("{:#}", SignedDuration::from_mins(left.as_mins())),
        days => counted(days, "day"),
    };
    let detail = format!("that of {file} is valid until {until:.0}, for {when}");
    let life = since.map_or(left, |since| until.duration_since(since));
    if left < life / TOKEN_LEFT && days < CERTIFICATE_DAYS {
        return Check::warning("token", detail, renew);
    }
    Check::good("token", detail)
}

/// Pods are what an ADD cannot do without; the other rights serve single pods.
async fn rights(server: &ApiServer) -> Vec<Check> {
    let name = "rights";
    let (mut checks, mut granted) = (Vec::new(), Vec::new());
    for right in RIGHTS {
        let Right { verb, resource, used_for } = right;
        match server.has_right(right).await {
            Ok(true) => granted.push(format!("{verb} {resource}")),
            Ok(false) => {
                let detail =
                    format!("the API server does not let this node {verb} {resource}, which serves {used_for}");
                let hint = Some(format!("add {} to its ClusterRole", right.rule()));
                checks.push(if resource == "pods" {
                    Check::bad(name, detail, hint)
                } else {
                    Check::warning(name, detail, hint)
                });
            }
            // A server that does not answer this question answers the others when they are asked.
            Err(error) => {
                return vec![Check::warning(
                    name,
                    format!("cannot tell which rights this node has: {error}"),
                    error.hint(),
                )];
            }
        }
    }
    if checks.is_empty() {
        checks.push(Check::good(name, granted.join(", ")));
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_told_with_the_time_it_has_and_doubted_where_nobody_renews_it() {
        let at = |minutes: i64| Timestamp::from_second(minutes * 60).unwrap();
        let of = |since: i64, until: i64, now: i64| {
            let dated = DatedToken { file: "/run/token".into(), since: Some(at(since)), until: at(until) };
            let check = judge_token(&dated, at(now));
            (check.verdict, check.detail.split(", ").last().unwrap_or_default().to_owned())
        };
        let day = 24 * 60;
        assert_eq!(of(0, 60, 8), (Verdict::Good, "for 52m".to_owned()));
        assert_eq!(of(0, 60, 57), (Verdict::Warning, "for 3m".to_owned()));
        assert_eq!(of(0, 365 * day, 335 * day), (Verdict::Good, "for 30 days".to_owned()), "a tenth, and time enough");
        assert_eq!(of(0, 365 * day, 364 * day), (Verdict::Warning, "for 1 day".to_owned()));
        assert_eq!(of(0, 60, 61).0, Verdict::Bad);
    }
}
