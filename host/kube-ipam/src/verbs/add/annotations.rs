//! Annotations of ours: `kube-ipam.…`. One that nobody reads is refused, whatever the policy: a pod that misspelt
//! `kube-ipam.ip` and gets any address is worse off than a pod that waits. Only the host knows what all who read
//! annotations read, itself among them; a policy says it in its description.
//!
//! ```text
//!   kube-ipam.WORD                    for every network of the pod
//!   kube-ipam.WORD.NETWORK            for one, where WORD.NETWORK is not a word itself
//!   kube-ipam.WORD.NETWORK.INTERFACE  for one interface in it; the most particular form wins
//! ```
//!
//! What is for another network is that network's to judge, under its own policy.

mod near;

use super::metadata::RequesterMetadata;
use crate::config::OnFault;
use crate::verbs::Error;
use cluster::HAND_OVER;
use engine::{Policy, READ_BY_DEFAULT};
use ipam::{Attachment, Family, RangeSets};
use spelling::{alike, is_same};

/// The families of which the pod wants addresses. Of every policy the host keeps the others away.
pub(super) const FAMILIES: &str = "kube-ipam.families";

/// How the names of our annotations begin.
pub(super) const OURS: &str = "kube-ipam.";

/// How people may begin them by mistake, in small letters.
const MISSPELT: [&str; 2] = [OURS, "kube-ipam/"];

/// What a name has to be repeated at most, in bytes.
const QUOTED: u64 = 120;

/// An annotation of ours that cannot be followed, whatever the policy.
#[derive(Debug, thiserror::Error)]
pub enum Unfollowed {
    /// Neither the host nor the policy reads it.
    #[error("annotation {name} of {whose} means nothing: neither kube-ipam nor policy {policy} reads it")]
    Unknown {
        /// The annotation's name, as it is written.
        name: String,
        /// The pod that has it, or the container where no pod is named.
        whose: String,
        /// The policy that decides.
        policy: String,
        /// Which one may have been meant.
        nearest: Option<String>,
        /// All that somebody reads.
        known: String,
    },
    /// It ends in the name of an interface, where that of a network belongs.
    #[error("annotation {name} of {whose} begins with the interface where it should name the network")]
    Interface {
        /// The annotation's name, as it is written.
        name: String,
        /// The pod that has it, or the container where no pod is named.
        whose: String,
        /// How it is written for that interface.
        meant: String,
        /// The interface, where a network might have the same name.
        interface: Option<String>,
    },
    /// The network does not have the families that the pod wants.
    #[error("annotation {name} of {whose} is {value:?}: {why}")]
    Families {
        /// The annotation's name, as it is written.
        name: String,
        /// The pod that has it, or the container where no pod is named.
        whose: String,
        /// What the annotation says.
        value: String,
        /// What is wrong with that.
        why: String,
    },
}

impl Unfollowed {
    /// What to do about it.
    pub(crate) fn hint(&self) -> String {
        match self {
            // It has a network's name at its end already, or could not have one.
            Self::Unknown { nearest: Some(nearest), name, .. } if name.matches('.').count() != 1 => {
                format!("did you mean {nearest}?")
            }
            Self::Unknown { nearest: Some(nearest), .. } => {
                format!("did you mean {nearest}? If it is for another network, put that one's name at the end")
            }
            Self::Unknown { nearest: None, known, .. } => {
                format!("known are {known}; if it is for another network, put that one's name at the end")
            }
            Self::Interface { meant, interface: None, .. } => format!("did you mean {meant}?"),
            Self::Interface { meant, interface: Some(interface), .. } => format!(
                "did you mean {meant}? If it is for a network called {interface:?}, append the name of an \
                 interface"
            ),
            Self::Families { name, .. } if name == FAMILIES => format!(
                "use a family that the network has, or remove the annotation; if it is meant for another network, append \
                 that name: {FAMILIES}.NETWORK"
            ),
            Self::Families { .. } => "use a family that the network has, or remove the annotation".to_owned(),
        }
    }
}

/// Refuse what cannot be meant as it stands; of what may be misspelt, tell the log.
pub(super) fn judge(
    metadata: &RequesterMetadata,
    attachment: &Attachment,
    policy: &Policy,
    on_fault: OnFault,
) -> Result<(), Error> {
    refuse_unknown(metadata, attachment, policy, on_fault)?;
    near::refuse_interface_for_network(metadata, attachment)?;
    near::warn_of_near(metadata, attachment);
    Ok(())
}

/// Refuse what nobody reads.
fn refuse_unknown(
    metadata: &RequesterMetadata,
    attachment: &Attachment,
    policy: &Policy,
    on_fault: OnFault,
) -> Result<(), Error> {
    let names = metadata.annotations().keys().map(String::as_str);
    // What the host reads itself is left out first.
    let mut ours: Vec<&str> =
        names.filter(|name| is_ours(name) && *name != HAND_OVER && !is_form_of(name, FAMILIES)).collect();
    // Most pods have none of ours, and only the others may cost a run of the policy, which is asked what it reads.
    if ours.is_empty() {
        return Ok(());
    }
    let read = read_by(policy, on_fault)?;
    let is_told = read.is_some();
    let known = read.unwrap_or_else(|| READ_BY_DEFAULT.map(str::to_owned).to_vec());
    ours.retain(|name| !known.iter().any(|known| is_form_of(name, known)) && !is_for_another_network(name, attachment));
    if ours.is_empty() {
        return Ok(());
    }
    let all: Vec<String> = known.into_iter().chain([FAMILIES.to_owned(), HAND_OVER.to_owned()]).collect();
    let mut refused = ours.iter().filter(|name| is_told || is_read_by_no_policy(name, &all));
    if let Some(name) = refused.next() {
        return Err(unknown(name, metadata.whose(), policy, &all));
    }
    for name in ours {
        let annotation = engine::text::tame(name, QUOTED);
        tracing::warn!(annotation, "cannot tell whether the policy reads an annotation, because it failed");
    }
    Ok(())
}

/// What the policy reads; `None` where it cannot say so and another decides in its stead, as the site wants it: pods get
/// addresses all the same.
fn read_by(policy: &Policy, on_fault: OnFault) -> Result<Option<Vec<String>>, Error> {
    if policy.name().instead_of.is_some() {
        return Ok(None);
    }
    match policy.annotations().map_err(Error::from) {
        Ok(read) => Ok(Some(read)),
        Err(fault) if on_fault == OnFault::Default && fault.may_be_replaced() => {
            tracing::warn!(%fault, "the policy does not say which annotations it reads");
            Ok(None)
        }
        Err(fault) => Err(fault),
    }
}

/// Whether no policy whatever could read it: it does not begin as ours do, or is one that is known in another spelling.
fn is_read_by_no_policy(name: &str, known: &[String]) -> bool {
    let word = word_and_form(name).0;
    word.is_empty() || !name.starts_with(OURS) || known.iter().any(|known| is_same(word, word_and_form(known).0))
}

fn unknown(name: &str, whose: String, policy: &Policy, known: &[String]) -> Error {
    let (word, form) = word_and_form(name);
    let words = known.iter().map(|known| word_and_form(known).0);
    let nearest = alike(word, words).and_then(|nearest| known.iter().find(|known| word_and_form(known).0 == nearest));
    Error::from(Box::new(Unfollowed::Unknown {
        name: engine::text::tame(name, QUOTED),
        whose,
        policy: policy.name().name.clone(),
        nearest: nearest.map(|nearest| if nearest == HAND_OVER { nearest.clone() } else { format!("{nearest}{form}") }),
        known: known.join(", "),
    }))
}

/// The ranges that a pod wants addresses of.
pub(super) fn wanted_families(
    metadata: &RequesterMetadata,
    attachment: &Attachment,
    range_sets: &RangeSets,
) -> Result<Option<Vec<Family>>, Error> {
    let annotations = metadata.annotations();
    let Attachment { network, interface, .. } = attachment;
    if !annotations.keys().any(|name| name.starts_with(FAMILIES)) {
        return Ok(None);
    }
    let forms = [format!("{FAMILIES}.{network}.{interface}"), format!("{FAMILIES}.{network}"), FAMILIES.to_owned()];
    let Some((name, value)) = forms.iter().find_map(|form| annotations.get_key_value(form)) else { return Ok(None) };
    let wanted = parse_families(value, network, range_sets).map_err(|why| {
        let (name, value) = (engine::text::tame(name, QUOTED), engine::text::tame(value, QUOTED));
        Box::new(Unfollowed::Families { name, whose: metadata.whose(), value, why })
    })?;
    Ok(Some(wanted))
}

/// The families in a list of them, or what is wrong with it.
fn parse_families(value: &str, network: &str, range_sets: &RangeSets) -> Result<Vec<Family>, String> {
    let mut wanted = Vec::new();
    for entry in value.split(',').map(str::trim) {
        let family = match entry {
            "ipv4" => Family::V4,
            "ipv6" => Family::V6,
            _ => return Err("expected ipv4, ipv6 or both, separated by a comma".to_owned()),
        };
        if wanted.contains(&family) {
            return Err(format!("{entry} appears twice"));
        }
        if !range_sets.iter().any(|set| set.family() == family) {
            return Err(format!("network {network:?} has no {family} range"));
        }
        wanted.push(family);
    }
    Ok(wanted)
}

/// Whether it is treated as one of ours, whichever way it is written.
fn is_ours(name: &str) -> bool {
    MISSPELT.iter().any(|prefix| name.get(..prefix.len()).is_some_and(|begins| begins.eq_ignore_ascii_case(prefix)))
}

/// The annotation itself, or that with something at its end: a network, and perhaps an interface.
fn is_form_of(name: &str, base: &str) -> bool {
    match name.strip_prefix(base) {
        Some(rest) => rest.is_empty() || rest.strip_prefix('.').is_some_and(may_be_network),
        None => false,
    }
}

/// Whether it is well-formed and has the name of another network at its end, whose policy may well read it.
fn is_for_another_network(name: &str, attachment: &Attachment) -> bool {
    with_form(name).is_some_and(|(_, form)| !is_for(form, attachment))
}

/// What follows the prefix of an annotation of ours up to the first dot, and what follows that: a network, and perhaps an
/// interface.
fn with_form(name: &str) -> Option<(&str, &str)> {
    let (word, form) = name.strip_prefix(OURS)?.split_once('.')?;
    (!word.is_empty() && may_be_network(form)).then_some((word, form))
}

/// Whether it is the form for the attachment's network, or for its interface in that.
fn is_for(form: &str, attachment: &Attachment) -> bool {
    form == attachment.network || behind(form, &attachment.network) == Some(&attachment.interface)
}

/// What follows a name and a dot.
fn behind<'a>(form: &'a str, name: &str) -> Option<&'a str> {
    form.strip_prefix(name)?.strip_prefix('.')
}

/// Whether a network's name may begin so.
fn may_be_network(form: &str) -> bool {
    form.starts_with(|first: char| first.is_ascii_alphanumeric())
}

/// What follows the prefix, up to the network; and the rest, with its dot.
fn word_and_form(name: &str) -> (&str, &str) {
    let rest = name.get(OURS.len()..).unwrap_or_default();
    let (word, form) = rest.split_at(rest.find('.').unwrap_or(rest.len()));
    (word, if form.strip_prefix('.').is_some_and(may_be_network) { form } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::Source;
    use ipam::RangeSpec;

    fn eth0() -> Attachment {
        Attachment { network: "blue".into(), container: "c1".into(), interface: "eth0".into() }
    }

    fn one(name: &str, value: &str) -> RequesterMetadata {
        RequesterMetadata { annotations: [(name.to_owned(), value.to_owned())].into(), ..RequesterMetadata::default() }
    }

    #[test]
    fn what_nobody_reads_is_refused_with_the_nearest() {
        let policy = Policy::load(&Source::alone(None)).unwrap();
        for (name, nearest) in [
            ("kube-ipam.ips", Some("kube-ipam.ip")),
            ("kube-ipam.IP", Some("kube-ipam.ip")),
            ("Kube-IPAM.ip", Some("kube-ipam.ip")),
            ("kube-ipam/ip", Some("kube-ipam.ip")),
            ("kube-ipam/ip.red", Some("kube-ipam.ip.red")),
            ("kube-ipam.ippool", Some("kube-ipam.ip-pool")),
            ("kube-ipam.ips.blue", Some("kube-ipam.ip.blue")),
            ("kube-ipam.gatway.blue.eth0", Some("kube-ipam.gateway.blue.eth0")),
            ("kube-ipam.family", Some("kube-ipam.families")),
            ("kube-ipam.handover", Some("kube-ipam.hand-over")),
            ("kube-ipam.hand-over.blue", Some("kube-ipam.hand-over")),
            ("kube-ipam.sticky", None),
            ("kube-ipam.ip.", Some("kube-ipam.ip")),
            ("kube-ipam.ip..", Some("kube-ipam.ip")),
            ("kube-ipam.", None),
            ("kube-ipam..red", None),
        ] {
            let refused = refuse_unknown(&one(name, "x"), &eth0(), &policy, OnFault::Fail).unwrap_err();
            let Error::Annotated(unfollowed) = &refused else { panic!("{name}: {refused}") };
            let Unfollowed::Unknown { nearest: found, .. } = &**unfollowed else { panic!("{name}: {refused}") };
            assert_eq!(found.as_deref(), nearest, "{name}");
        }
    }

    #[test]
    fn what_somebody_reads_or_another_network_may_is_let_through() {
        let policy = Policy::load(&Source::alone(None)).unwrap();
        for name in [
            "kube-ipam.ip",
            "kube-ipam.ip-pool.red",
            "kube-ipam.netmask.blue.net7",
            "kube-ipam.families.red",
            "kube-ipam.hand-over",
            "kube-ipam.sticky.red",
            "kube-ipam.sticky.blue.net7",
            "kubeipam.ip",
            "kube-ipam",
            "example.com/kube-ipam.ips",
            "\u{2603}\u{2603}\u{2603}\u{2603}",
        ] {
            refuse_unknown(&one(name, "x"), &eth0(), &policy, OnFault::Fail).unwrap();
        }
    }

    #[test]
    fn in_the_stead_of_another_policy_only_what_no_policy_reads_is_refused() {
        let policy = Policy::load(&Source::alone(None)).unwrap().instead_of("site.wasm".to_owned());
        let refused = |name: &str| refuse_unknown(&one(name, "x"), &eth0(), &policy, OnFault::Default).is_err();
        for name in [
            "kube-ipam/ip",
            "Kube-IPAM.ip",
            "kube-ipam.IP",
            "kube-ipam.ippool.blue",
            "kube-ipam.handover",
            "kube-ipam.",
        ] {
            assert!(refused(name), "{name}");
        }
        for name in ["kube-ipam.ip", "kube-ipam.rack", "kube-ipam.ips", "kube-ipam.sticky.blue", "kube-ipam.IP.red"] {
            assert!(!refused(name), "{name}");
        }
    }

    #[test]
    fn families_are_those_of_the_network() {
        let subnet = |text: &str| vec![RangeSpec::of_subnet(text.parse().unwrap())];
        let both = RangeSets::new(vec![subnet("10.0.0.0/24"), subnet("fd00::/64")], &[]).unwrap();
        let wanted = |name: &str, value: &str| match wanted_families(&one(name, value), &eth0(), &both) {
            Ok(wanted) => format!("{wanted:?}"),
            Err(refused) => refused.to_string(),
        };
        assert_eq!(wanted(FAMILIES, "ipv4"), "Some([V4])");
        assert_eq!(wanted("kube-ipam.families.blue.eth0", "ipv6"), "Some([V6])");
        assert_eq!(wanted("kube-ipam.families.blue", "ipv4, ipv6"), "Some([V4, V6])");
        assert_eq!(wanted("kube-ipam.families.red", "ipv5"), "None");
        assert_eq!(wanted("kube-ipam.families.blue.net1", "ipv5"), "None");
        let expected = "expected ipv4, ipv6 or both, separated by a comma";
        for bad in ["", "IPv4", "ipv5", "ipv4;ipv6", "ipv4,", "dual"] {
            assert_eq!(wanted(FAMILIES, bad), format!("annotation {FAMILIES} of the container is {bad:?}: {expected}"));
        }
        assert!(wanted(FAMILIES, "ipv4,ipv4").ends_with("ipv4 appears twice"));
        let single = RangeSets::new(vec![subnet("10.0.0.0/24")], &[]).unwrap();
        let refused = wanted_families(&one(FAMILIES, "ipv4,ipv6"), &eth0(), &single).unwrap_err();
        assert!(refused.to_string().ends_with("network \"blue\" has no IPv6 range"), "{refused}");
    }
}
