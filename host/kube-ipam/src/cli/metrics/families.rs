//! Every metric there is: the one table of names, labels and meanings, and what is put into it.

use std::collections::BTreeMap;

use prometheus::TextEncoder;
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};

use crate::journal::Durations;
use crate::journal::counts::BUCKETS;
use ipam::shown::one_line;

/// A metric: its name, what it says, and the labels of its series.
#[derive(Debug)]
pub(super) struct Definition {
    pub(super) name: &'static str,
    pub(super) kind: MetricType,
    pub(super) labels: &'static [&'static str],
    pub(super) help: &'static str,
}

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Definition {
    Definition { name, kind: MetricType::COUNTER, labels, help }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Definition {
    Definition { name, kind: MetricType::GAUGE, labels, help }
}

const fn histogram(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Definition {
    Definition { name, kind: MetricType::HISTOGRAM, labels, help }
}

// Of a node.
pub(super) static BUILD_INFO: Definition =
    gauge("kube_ipam_build_info", &["version"], "The version of kube-ipam; always 1");
pub(super) static CALLS: Definition = counter(
    "kube_ipam_calls_total",
    &["network", "verb", "code"],
    "Calls of the plugin by the CNI code they were answered with, 0 for success; without the STATUS calls that succeeded",
);
pub(super) static DECISIONS: Definition = counter(
    "kube_ipam_decisions_total",
    &["network", "policy", "verdict"],
    "Decisions of policies: proposed, a refusal (exhausted, taken, invalid, denied) or fault",
);
pub(super) static SHADOW_DECISIONS: Definition = counter(
    "kube_ipam_shadow_decisions_total",
    &["network", "policy", "shadow", "outcome"],
    "Decisions of shadow policies beside that of the policy: same, different or fault",
);
pub(super) static ADD_DURATION: Definition = histogram(
    "kube_ipam_add_duration_seconds",
    &[],
    "How long an ADD took, from the start of the process to its answer",
);
pub(super) static PHASE_DURATION: Definition = histogram(
    "kube_ipam_add_phase_duration_seconds",
    &["phase"],
    "How long an ADD took in a phase: look_up, load, decide, commit, api_server, shadow, load_shadow",
);
pub(super) static UNREADABLE: Definition = counter(
    "kube_ipam_counts_unreadable_total",
    &[],
    "Counted calls that could not be read again, because a process was killed or the power failed",
);
pub(super) static CERTIFICATE: Definition = gauge(
    "kube_ipam_certificate_expiry_timestamp_seconds",
    &["certificate"],
    "When a certificate expires: a file of this node, or that of a member of etcd",
);

pub(super) static LEAKED: Definition = gauge(
    "kube_ipam_leaked_addresses",
    &["network"],
    "Addresses held for containers of this node that have ended: their DEL was lost",
);

// Of a store.
pub(super) static STORE_UP: Definition =
    gauge("kube_ipam_store_up", &["network"], "Whether the addresses of a network could be read from its store");
pub(super) static ADDRESSES: Definition = gauge(
    "kube_ipam_addresses",
    &["network", "range_set", "state"],
    "Addresses of a range set: free, held, on_hold (kept for an identity, or cooling down) or reserved",
);
pub(super) static RANGE_SET_INFO: Definition =
    gauge("kube_ipam_range_set_info", &["network", "range_set", "ranges"], "The ranges of a range set; always 1");
pub(super) static ETCD_UP: Definition =
    gauge("kube_ipam_etcd_member_up", &["member"], "Whether a member of etcd says how it is");
pub(super) static ETCD_SIZE: Definition =
    gauge("kube_ipam_etcd_database_bytes", &["member"], "The database of a member of etcd, on its disk");
pub(super) static ETCD_IN_USE: Definition = gauge(
    "kube_ipam_etcd_database_in_use_bytes",
    &["member"],
    "The part of that database that defragmenting it would leave",
);
pub(super) static ETCD_QUOTA: Definition = gauge(
    "kube_ipam_etcd_quota_bytes",
    &["member"],
    "The size at which etcd refuses every ADD; its default where the member does not tell",
);

/// All of them, in the order in which they are told.
pub(super) static ALL: [&Definition; 16] = [
    &BUILD_INFO,
    &CALLS,
    &DECISIONS,
    &SHADOW_DECISIONS,
    &ADD_DURATION,
    &PHASE_DURATION,
    &UNREADABLE,
    &CERTIFICATE,
    &LEAKED,
    &STORE_UP,
    &ADDRESSES,
    &RANGE_SET_INFO,
    &ETCD_UP,
    &ETCD_SIZE,
    &ETCD_IN_USE,
    &ETCD_QUOTA,
];

/// The series that were put in, by the name of their metric.
#[derive(Default)]
pub(super) struct Families(BTreeMap<&'static str, Vec<Metric>>);

impl Families {
    /// A series of a counter or a gauge. The labels have these values, in the order of the definition.
    pub(super) fn put(&mut self, definition: &'static Definition, values: &[&str], number: f64) {
        let mut metric = Metric::from_label(labels(definition, values));
        if definition.kind == MetricType::COUNTER {
            let mut counter = Counter::default();
            counter.set_value(number);
            metric.set_counter(counter);
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(number);
            metric.set_gauge(gauge);
        }
        self.push(definition, metric);
    }

    /// A series of a histogram.
    pub(super) fn put_durations(&mut self, definition: &'static Definition, values: &[&str], durations: &Durations) {
        let mut buckets = Vec::new();
        for bound in BUCKETS {
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(bound);
            bucket.set_cumulative_count(durations.within(bound));
            buckets.push(bucket);
        }
        let mut histogram = Histogram::default();
        histogram.set_bucket(buckets);
        histogram.set_sample_count(durations.count());
        histogram.set_sample_sum(durations.seconds());
        let mut metric = Metric::from_label(labels(definition, values));
        metric.set_histogram(histogram);
        self.push(definition, metric);
    }

    /// Networks may share what a metric is about, a member of etcd or a certificate: the first series of the same labels stays.
    fn push(&mut self, definition: &'static Definition, metric: Metric) {
        let series = self.0.entry(definition.name).or_default();
        if !series.iter().any(|known| known.get_label() == metric.get_label()) {
            series.push(metric);
        }
    }

    /// The text that Prometheus reads.
    pub(super) fn text(mut self) -> String {
        let mut families = Vec::new();
        for definition in ALL {
            let Some(series) = self.0.remove(definition.name) else { continue };
            let mut family = MetricFamily::default();
            family.set_name(definition.name.to_owned());
            family.set_help(definition.help.to_owned());
            family.set_field_type(definition.kind);
            family.set_metric(series);
            families.push(family);
        }
        let mut text = String::new();
        let encoded = TextEncoder::new().encode_utf8(&families, &mut text);
        encoded.expect("families with a name and at least one series, written to memory");
        text
    }
}

fn labels(definition: &Definition, values: &[&str]) -> Vec<LabelPair> {
    assert_eq!(definition.labels.len(), values.len(), "the labels of {}", definition.name);
    let mut labels = Vec::new();
    for (name, value) in definition.labels.iter().zip(values) {
        let mut label = LabelPair::default();
        label.set_name((*name).to_owned());
        label.set_value(one_line(value).into_owned());
        labels.push(label);
    }
    labels
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;

    #[test]
    fn names_follow_the_conventions() {
        let names: BTreeSet<&str> = ALL.iter().map(|definition| definition.name).collect();
        assert_eq!(names.len(), ALL.len());
        for Definition { name, kind, labels, help } in ALL {
            assert!(name.starts_with("kube_ipam_"), "{name}");
            assert_eq!(name.ends_with("_total"), *kind == MetricType::COUNTER, "{name}");
            assert!(!help.ends_with('.') && !help.is_empty(), "{name}");
            for label in *labels {
                assert!(!["pod", "container", "address", "namespace", "le"].contains(label), "{name} by {label}");
            }
        }
    }

    #[test]
    fn series_are_told_once_and_in_order() {
        let mut families = Families::default();
        families.put(&ETCD_SIZE, &["https://a:2379"], 5.0);
        families.put(&CALLS, &["blue", "ADD", "0"], 7.0);
        families.put(&ETCD_SIZE, &["https://a:2379"], 6.0);
        families.put_durations(&ADD_DURATION, &[], &Durations::of(Duration::from_millis(30)));
        insta::assert_snapshot!(families.text());
    }

    #[test]
    fn no_value_of_a_label_ends_a_line() {
        let mut families = Families::default();
        families.put(&BUILD_INFO, &["1\n\"\\\u{1b}"], 1.0);
        let text = families.text();
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(text.ends_with("} 1\n"), "{text}");
    }

    /// A row of the table in the documentation for each metric, in this order.
    #[test]
    fn the_documentation_has_every_metric() {
        let page = include_str!("../../../../../docs/operating.md");
        let mut rows = String::new();
        for Definition { name, kind, labels, help } in ALL {
            let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
            let kind = format!("{kind:?}").to_lowercase();
            rows.push_str(&format!("| `{name}` | {kind} | {} | {help} |\n", labels.join(", ")));
        }
        assert!(page.contains(&rows), "docs/operating.md should have these rows:\n{rows}");
    }
}
