//! Pod `NAME-n` gets the n-th address after a base, which annotation `kube-ipam.ordinal-base` names or setting
//! `ordinals`. Those are fixed addresses: what cannot be followed is refused.

use std::net::IpAddr;

use kube_ipam_policy::address::number;
use kube_ipam_policy::annotations::{Annotation, Form, IP, IP_POOL};
use kube_ipam_policy::{Family, Pod, Refusal, Request, Wish, list};

use crate::Settings;

/// The address of pod 0, or several.
pub(crate) const ORDINAL_BASE: &str = "kube-ipam.ordinal-base";

/// The kind of controller whose pods are numbered.
pub(crate) const STATEFUL_SET: &str = "StatefulSet";

/// The addresses of the pod by its number; `None` when nobody gave it a base, or the pod names addresses itself.
pub(crate) fn wish<'a>(request: &'a Request, settings: &Settings) -> Result<Option<Wish<'a>>, Refusal> {
    let Some(pod) = &request.pod else { return Ok(None) };
    let Some(base) = Base::find(request, pod, settings)? else { return Ok(None) };
    let rule = format!("{} for pod {}/{}", base.named_by, pod.namespace, pod.name);
    let Some((_, ordinal)) = numbered(&pod.name) else {
        return Err(Refusal::Invalid(format!(
            "{rule}: the pod's name does not end in its number, as that of web-0 does"
        )));
    };
    let mut addresses = Vec::with_capacity(base.addresses.len());
    for (base, length) in base.addresses {
        let Some(address) = offset(base, ordinal) else {
            return Err(Refusal::Invalid(format!("{rule}: there is no address {ordinal} after {base}")));
        };
        addresses.push((address, length));
    }
    Wish::by_rule(request, rule, addresses).map(Some)
}

/// The addresses of pod 0, each with the length it shall be seen with.
struct Base {
    named_by: String,
    addresses: Vec<(IpAddr, Option<u8>)>,
}

impl Base {
    /// The pod's annotations come before the settings, and the most particular form first.
    fn find(request: &Request, pod: &Pod, settings: &Settings) -> Result<Option<Self>, Refusal> {
        for form in Form::ALL {
            let base = Annotation::in_form(request, ORDINAL_BASE, form);
            let ip = Annotation::in_form(request, IP, form);
            match (base, ip.or_else(|| Annotation::in_form(request, IP_POOL, form))) {
                (Some(base), Some(named)) => {
                    return Err(base.invalid(format_args!("it contradicts {named}; keep one of the two")));
                }
                (Some(base), None) => {
                    return Ok(Some(Self { named_by: base.to_string(), addresses: base.addresses()? }));
                }
                (None, Some(_)) => return Ok(None),
                (None, None) => {}
            }
        }
        Ok(Self::of_settings(pod, settings))
    }

    fn of_settings(pod: &Pod, settings: &Settings) -> Option<Self> {
        let stateful_set = format!("{}/{}", pod.namespace, stateful_set(pod)?);
        let bases = settings.ordinals.get(stateful_set.as_str())?;
        let named_by = format!("policy.settings.ordinals.{stateful_set} {:?}", list(bases.iter()));
        Some(Self { named_by, addresses: bases.iter().map(|base| (base, None)).collect() })
    }
}

/// The StatefulSet of a pod; where the controller is not told, the one the pod's name speaks of.
fn stateful_set(pod: &Pod) -> Option<&str> {
    match &pod.owner {
        Some(owner) => (owner.kind == STATEFUL_SET).then_some(owner.name.as_str()),
        None => numbered(&pod.name).map(|(name, _)| name),
    }
}

/// `web-12` is number 12 of `web`. No sign and no leading zero: Kubernetes writes none.
fn numbered(pod: &str) -> Option<(&str, u32)> {
    let (name, digits) = pod.rsplit_once('-').filter(|(name, _)| !name.is_empty())?;
    let plain = digits == "0" || (!digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit()));
    if !plain {
        return None;
    }
    Some((name, digits.parse().ok()?))
}

fn offset(base: IpAddr, ordinal: u32) -> Option<IpAddr> {
    let sum = number(base).checked_add(ordinal.into())?;
    // Of IPv4 the high bits are dropped: an address that has lost any is beyond the last one.
    let address = Family::of(base).address(sum);
    (number(address) == sum).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_pod() {
        for (pod, expected) in [
            ("web-0", Some(("web", 0))),
            ("my-web-12", Some(("my-web", 12))),
            ("web-4294967295", Some(("web", u32::MAX))),
            ("web-4294967296", None),
            ("web", None),
            ("web-", None),
            ("-1", None),
            ("web-01", None),
            ("web-00", None),
            ("web-+1", None),
            ("web-1a", None),
        ] {
            assert_eq!(numbered(pod), expected, "{pod}");
        }
    }

    #[test]
    fn the_end_of_the_address_space_is_not_passed() {
        let offset = |base: &str, ordinal| offset(base.parse().unwrap(), ordinal).map(|address| address.to_string());
        assert_eq!(offset("255.255.255.254", 1).as_deref(), Some("255.255.255.255"));
        assert_eq!(offset("255.255.255.254", 2), None);
        assert_eq!(offset("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 1), None);
        assert_eq!(offset("fd00::ffff", 1).as_deref(), Some("fd00::1:0"));
    }
}
