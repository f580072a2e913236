//! The rules of the default policy, as cases in JSON: one file per subject.

use kube_ipam_policy::testing::check_cases;
use range_fixed::RangeFixed;

#[test]
fn named_addresses() {
    check_cases::<RangeFixed>(include_str!("named.json"));
}

#[test]
fn malformed_annotations() {
    check_cases::<RangeFixed>(include_str!("malformed.json"));
}

#[test]
fn pools() {
    check_cases::<RangeFixed>(include_str!("pools.json"));
}

#[test]
fn dynamic_addresses() {
    check_cases::<RangeFixed>(include_str!("dynamic.json"));
}
