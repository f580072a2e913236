//! Which rows are listed.

use clap::{Args, ValueEnum};
use ipam::{Kind, Span};
use jiff::{SignedDuration, SpanRelativeTo, Timestamp};

use crate::cli::network::NetworkArgs;
use store::{AddressRecord, Hold, RecordFilter};

/// The options that leave rows out. Every one that is given has to fit; of several values of one, any.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct WantedArgs {
    /// Only addresses of pods in this namespace; several with commas between them
    #[arg(long, value_name = "NAME", value_delimiter = ',', help_heading = "Which rows")]
    namespace: Vec<String>,
    /// Only addresses that are held on this node; several with commas between them
    #[arg(long, value_name = "NAME", value_delimiter = ',', help_heading = "Which rows")]
    node: Vec<String>,
    /// Only addresses of this range: a subnet, FIRST-LAST, or one address
    #[arg(long, value_name = "RANGE", value_delimiter = ',', help_heading = "Which rows")]
    range: Vec<Span>,
    /// Only rows of this kind; several with commas between them
    #[arg(long, value_enum, value_delimiter = ',', help_heading = "Which rows")]
    kind: Vec<RowKind>,
    /// Only addresses that a container holds
    #[arg(long, help_heading = "Which rows")]
    held: bool,
    /// Only addresses that nobody holds and nobody can get: on hold for an identity, cooling down or reserved
    #[arg(long, help_heading = "Which rows")]
    kept: bool,
    /// Only addresses that have been held for longer than this, for example 30m or 7d
    #[arg(long, value_name = "DURATION", value_parser = parse_age, help_heading = "Which rows")]
    older_than: Option<SignedDuration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum RowKind {
    /// Held, and chosen by the policy
    Dynamic,
    /// Held, and asked for by name
    Fixed,
    /// Kept for an identity
    Hold,
    /// Kept from everybody for a while
    CoolDown,
    /// Taken out of circulation by an operator
    Reservation,
}

impl RowKind {
    pub(in crate::cli) fn of(record: &AddressRecord) -> Self {
        match record {
            AddressRecord::Allocation(held) => match held.kind {
                Kind::Dynamic => Self::Dynamic,
                Kind::Fixed => Self::Fixed,
            },
            AddressRecord::Hold(Hold { reservation: Some(_), .. }) => Self::Reservation,
            AddressRecord::Hold(Hold { identity: Some(_), .. }) => Self::Hold,
            AddressRecord::Hold(_) => Self::CoolDown,
        }
    }

    pub(in crate::cli) fn name(self) -> &'static str {
        match self {
            Self::Dynamic => "dynamic",
            Self::Fixed => "fixed",
            Self::Hold => "hold",
            Self::CoolDown => "cool-down",
            Self::Reservation => "reservation",
        }
    }
}

/// Which rows are listed.
pub(super) struct Wanted {
    args: WantedArgs,
    network: NetworkArgs,
}

impl Wanted {
    pub(super) fn new(args: &WantedArgs, network: &NetworkArgs) -> Self {
        Self { args: args.clone(), network: network.clone() }
    }

    pub(super) fn is_everything(&self) -> bool {
        self.args == WantedArgs::default()
    }

    /// What is read at all.
    pub(super) fn filter(&self) -> RecordFilter {
        let WantedArgs { held, kept, .. } = self.args;
        let both = held == kept;
        RecordFilter { allocations: held || both, holds: kept || both, spans: apart(self.args.range.clone()) }
    }

    pub(super) fn fits(&self, record: &AddressRecord, now: Timestamp) -> bool {
        let Self { args, network } = self;
        if !args.kind.is_empty() && !args.kind.contains(&RowKind::of(record)) {
            return false;
        }
        match record {
            AddressRecord::Allocation(held) => {
                let namespace = held.pod.as_ref().map(|pod| &pod.namespace);
                let is_old = args.older_than.is_none_or(|age| now.duration_since(held.since) > age);
                is_old
                    && (args.namespace.is_empty() || namespace.is_some_and(|name| args.namespace.contains(name)))
                    && (args.node.is_empty() || args.node.contains(&held.node))
                    && network.covers(&held.attachment)
            }
            // Nobody has it: it has no namespace, no node and no age.
            AddressRecord::Hold(hold) => {
                let asks_for_a_holder =
                    !args.namespace.is_empty() || !args.node.is_empty() || args.older_than.is_some();
                hold.is_standing(now) && !asks_for_a_holder
            }
        }
    }
}

/// An age, which people give in days, too.
fn parse_age(text: &str) -> Result<SignedDuration, jiff::Error> {
    text.parse::<jiff::Span>()?.to_duration(SpanRelativeTo::days_are_24_hours())
}

/// The same addresses in spans that do not overlap, lowest first.
fn apart(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort();
    let mut apart: Vec<Span> = Vec::new();
    for span in spans {
        let rest = match apart.last() {
            Some(before) => span.above(before.last()),
            None => Some(span),
        };
        apart.extend(rest);
    }
    apart
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_may_be_in_days() {
        for (text, hours) in [("7d", 168), ("36h", 36), ("1d 12h", 36), ("90m", 1)] {
            assert_eq!(parse_age(text).unwrap().as_hours(), hours, "{text}");
        }
        assert!(parse_age("old").is_err() && parse_age("1mo").is_err());
    }

    #[test]
    fn no_address_is_read_twice_however_ranges_overlap() {
        let spans = |texts: &[&str]| apart(texts.iter().map(|text| text.parse().unwrap()).collect());
        let text = |spans: Vec<Span>| spans.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let overlapping = ["fd00::/126", "10.0.0.0/29", "10.0.0.4-10.0.0.9", "10.0.0.2"];
        assert_eq!(text(spans(&overlapping)), "10.0.0.0-10.0.0.7 10.0.0.8-10.0.0.9 fd00::-fd00::3");
        assert_eq!(
            text(spans(&["0.0.0.0/0", "::/0", "255.255.255.255"])),
            "0.0.0.0-255.255.255.255 ::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
        );
    }
}
