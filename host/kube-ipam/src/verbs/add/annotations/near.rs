//! Annotations that end in a name which is nearly that of our network or interface. They are another network's to judge, if
//! there is one of that name; where a name was misspelt they are nobody's, and the pod gets any address.

use std::collections::BTreeMap;

use super::{Error, OURS, QUOTED, Unfollowed, behind, is_for, with_form};
use crate::verbs::add::metadata::RequesterMetadata;
use cluster::HAND_OVER;
use ipam::Attachment;
use spelling::is_near;

/// Refuse what has our interface's name where a network's belongs. Should a network be called like that, it has a form that
/// nobody mistakes: the one with an interface.
pub(super) fn refuse_interface_for_network(metadata: &RequesterMetadata, attachment: &Attachment) -> Result<(), Error> {
    let Attachment { network, interface, .. } = attachment;
    for (word, form) in forms(metadata.annotations()) {
        let is_alone = form == interface;
        let is_reversed = behind(form, interface) == Some(network);
        if !(is_alone || is_reversed) || is_for(form, attachment) {
            continue;
        }
        let name = format!("{OURS}{word}.{form}");
        return Err(Error::from(Box::new(Unfollowed::Interface {
            name: engine::text::tame(&name, QUOTED),
            whose: metadata.whose(),
            meant: engine::text::tame(&format!("{OURS}{word}.{network}.{interface}"), QUOTED),
            interface: is_alone.then(|| interface.clone()),
        })));
    }
    Ok(())
}

/// Say in the log which annotations may be misspelt. They are no reason to refuse a pod: the other network may be there.
pub(super) fn warn_of_near(metadata: &RequesterMetadata, attachment: &Attachment) {
    for (name, meant) in nearly_ours(metadata.annotations(), attachment) {
        tracing::warn!(
            annotation = engine::text::tame(&name, QUOTED),
            meant = engine::text::tame(&meant, QUOTED),
            "an annotation names another network or interface, and is ignored here; that name is nearly that of this one"
        );
    }
}

/// What may have been meant for us, each with what it would be called then.
fn nearly_ours(annotations: &BTreeMap<String, String>, attachment: &Attachment) -> Vec<(String, String)> {
    let Attachment { network, interface, .. } = attachment;
    let mut found = Vec::new();
    for (word, form) in forms(annotations) {
        let Some(meant) = meant(form, attachment) else { continue };
        // Whoever names one for us as well knows of both.
        let for_us = [format!("{OURS}{word}.{network}"), format!("{OURS}{word}.{network}.{interface}")];
        if !for_us.iter().any(|name| annotations.contains_key(name)) {
            found.push((format!("{OURS}{word}.{form}"), format!("{OURS}{word}.{meant}")));
        }
    }
    found
}

/// The end that somebody may have meant by this one.
fn meant(form: &str, attachment: &Attachment) -> Option<String> {
    let Attachment { network, interface, .. } = attachment;
    if is_for(form, attachment) {
        return None;
    }
    if let Some(other) = behind(form, network) {
        return is_near(other, interface).then(|| format!("{network}.{interface}"));
    }
    if is_near(form, network) {
        return Some(network.clone());
    }
    let other = form.strip_suffix(interface.as_str())?.strip_suffix('.')?;
    is_near(other, network).then(|| format!("{network}.{interface}"))
}

/// What may name a network, of every annotation of ours. Of a hand-over there are no forms.
fn forms(annotations: &BTreeMap<String, String>) -> impl Iterator<Item = (&str, &str)> {
    let forms = annotations.keys().filter_map(|name| with_form(name));
    forms.filter(|(word, _)| HAND_OVER.strip_prefix(OURS) != Some(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cni::Fail;

    fn net1() -> Attachment {
        Attachment { network: "blue".into(), container: "c1".into(), interface: "net1".into() }
    }

    fn annotations(names: &[&str]) -> BTreeMap<String, String> {
        names.iter().map(|name| ((*name).to_owned(), "10.0.0.7".to_owned())).collect()
    }

    fn nearly(names: &[&str]) -> Vec<String> {
        nearly_ours(&annotations(names), &net1()).into_iter().map(|(_, meant)| meant).collect()
    }

    #[test]
    fn a_misspelt_network_or_interface_is_noticed() {
        for (name, meant) in [
            ("kube-ipam.ip.bleu", "kube-ipam.ip.blue"),
            ("kube-ipam.ip.Blue", "kube-ipam.ip.blue"),
            ("kube-ipam.ip.blu", "kube-ipam.ip.blue"),
            ("kube-ipam.ip-pool.blues", "kube-ipam.ip-pool.blue"),
            ("kube-ipam.families.blu", "kube-ipam.families.blue"),
            ("kube-ipam.ip.bleu.net1", "kube-ipam.ip.blue.net1"),
            ("kube-ipam.ip.blue.ent1", "kube-ipam.ip.blue.net1"),
            ("kube-ipam.ip.blue.Net1", "kube-ipam.ip.blue.net1"),
            ("kube-ipam.ip.blue.netl", "kube-ipam.ip.blue.net1"),
        ] {
            assert_eq!(nearly(&[name]), [meant], "{name}");
        }
    }

    #[test]
    fn other_networks_and_interfaces_are_left_alone() {
        for name in [
            "kube-ipam.ip",
            "kube-ipam.ip.blue",
            "kube-ipam.ip.blue.net1",
            "kube-ipam.ip.red",
            "kube-ipam.ip.red.net1",
            "kube-ipam.ip.blue2",
            "kube-ipam.ip.blue.net2",
            "kube-ipam.ip.blue.eth0",
            "kube-ipam.ip.blue.net1.100",
            "kube-ipam.hand-over.bleu",
            "example.com/ip.bleu",
        ] {
            assert_eq!(nearly(&[name]), [""; 0], "{name}");
        }
        assert_eq!(nearly(&["kube-ipam.ip.blues", "kube-ipam.ip.blue"]), [""; 0], "whoever names both knows of both");
    }

    #[test]
    fn our_interface_is_no_network() {
        let refused = |names: &[&str]| {
            let metadata = RequesterMetadata { annotations: annotations(names), ..RequesterMetadata::default() };
            refuse_interface_for_network(&metadata, &net1()).err().and_then(|error| error.hint())
        };
        let hint = refused(&["kube-ipam.ip.net1"]).unwrap();
        assert!(hint.starts_with("did you mean kube-ipam.ip.blue.net1?"), "{hint}");
        assert!(hint.ends_with("a network called \"net1\", append the name of an interface"), "{hint}");
        assert_eq!(refused(&["kube-ipam.ip-pool.net1.blue"]).unwrap(), "did you mean kube-ipam.ip-pool.blue.net1?");
        assert!(refused(&["kube-ipam.families.net1"]).is_some());
        for name in ["kube-ipam.ip.net2", "kube-ipam.ip.net1.net2", "kube-ipam.ip.blue.net1", "kube-ipam.ip"] {
            assert_eq!(refused(&[name]), None, "{name}");
        }
        let named_alike = Attachment { network: "net1".into(), ..net1() };
        let metadata =
            RequesterMetadata { annotations: annotations(&["kube-ipam.ip.net1"]), ..RequesterMetadata::default() };
        refuse_interface_for_network(&metadata, &named_alike).unwrap();
    }
}
