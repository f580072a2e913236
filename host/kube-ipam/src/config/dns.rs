//! Name resolution for the pod: `dns`, as the `static` plugin has it, or `resolvConf`, as `host-local` has it: the settings
//! of a resolv.conf file.
//!
//! What is written in the configuration wins as a whole over what is read from elsewhere, and nothing is merged: so main
//! plugins treat their own `dns` and that of an IPAM plugin's result.

use super::error::Error;
use super::field::{Held, at_most};
use cni::{Dns, NetConf};
use files::read_regular;

const FIELD: &str = "ipam.resolvConf";

/// What a domain looks like.
const DOMAIN: &str = "a domain such as cluster.local";

pub(super) fn read(netconf: &NetConf) -> Result<Dns, Error> {
    let written = written(netconf)?;
    if !written.is_empty() {
        return Ok(written);
    }
    let Some(held) = Held::read(FIELD, netconf.ipam()?.resolv_conf.as_ref())? else { return Ok(Dns::default()) };
    let file = held.absolute_path()?;
    match read_regular(&file, limits::RESOLV_CONF_BYTES) {
        Ok(text) => Ok(parse(&String::from_utf8_lossy(&text))),
        Err(source) => Err(Error::File { field: FIELD, file, source }),
    }
}

/// `dns`, checked: a pod's resolver would pass over what it does not understand.
fn written(netconf: &NetConf) -> Result<Dns, Error> {
    let Some(dns) = &netconf.ipam()?.dns else { return Ok(Dns::default()) };
    let dns = netconf.part(dns, "ipam.dns")?;
    let mut checked = Dns::default();
    for server in entries("ipam.dns.nameservers", dns.nameservers.as_deref())? {
        checked.nameservers.push(server.address()?.to_string());
    }
    for domain in entries("ipam.dns.search", dns.search.as_deref())? {
        // The root alone is a way to search nothing.
        if !is_domain(domain.text) && domain.text != "." {
            return Err(domain.wrong(DOMAIN));
        }
        checked.search.push(domain.text.to_owned());
    }
    for option in entries("ipam.dns.options", dns.options.as_deref())? {
        if option.text.is_empty() || !option.text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(option.wrong("an option of resolv.conf such as ndots:5"));
        }
        checked.options.push(option.text.to_owned());
    }
    if let Some(domain) = Held::given("ipam.dns.domain", dns.domain.as_ref()) {
        if !is_domain(domain.text) {
            return Err(domain.wrong(DOMAIN));
        }
        checked.domain = Some(domain.text.to_owned());
    }
    Ok(checked)
}

fn entries<'a>(path: &'static str, list: Option<&'a [String]>) -> Result<impl Iterator<Item = Held<'a>>, Error> {
    let list = list.unwrap_or_default();
    at_most(path, list.len(), limits::DNS_ENTRIES)?;
    Ok(Held::entries(path, list))
}

/// Labels of at most 63 bytes, 253 in all (RFC 1035 §2.3.4); underscores, as names of services have them.
fn is_domain(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    text.len() <= 253 && text.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// As resolv.conf(5) has it; what it does not know is skipped, as the C library does.
fn parse(text: &str) -> Dns {
    let mut dns = Dns::default();
    for line in text.lines().filter(|line| !line.starts_with(['#', ';'])) {
        let mut words = line.split_whitespace().map(str::to_owned);
        match words.next().as_deref() {
            Some("nameserver") => dns.nameservers.extend(words.next()),
            Some("domain") => dns.domain = words.next().or(dns.domain),
            Some("search") => dns.search = words.collect(),
            Some("options") => dns.options.extend(words),
            _ => {}
        }
    }
    dns
}

#[cfg(test)]
mod tests {
    use super::*;
    use cni::Fail;

    #[test]
    fn the_last_search_line_counts_and_comments_do_not() {
        let dns = parse(
            "# made by hand\nnameserver 10.0.0.10\nnameserver fd00::10\n;nameserver 1.1.1.1\nsearch old.local\n\
             domain cluster.local\nsearch a.local b.local\noptions ndots:5 edns0\nnameserver\nsortlist 10.0.0.0\n",
        );
        assert_eq!(dns.nameservers, ["10.0.0.10", "fd00::10"]);
        assert_eq!(dns.domain.as_deref(), Some("cluster.local"));
        assert_eq!(dns.search, ["a.local", "b.local"]);
        assert_eq!(dns.options, ["ndots:5", "edns0"]);
        assert!(parse("").is_empty());
    }

    fn read_ipam(ipam: &serde_json::Value) -> Result<Dns, Error> {
        let netconf = serde_json::json!({"name": "n", "ipam": ipam}).to_string();
        read(&NetConf::parse(netconf.as_bytes()).unwrap())
    }

    #[test]
    fn what_is_written_wins_as_a_whole() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "nameserver 10.0.0.10\nsearch cluster.local\n").unwrap();
        let with = |dns| read_ipam(&serde_json::json!({"resolvConf": file.path(), "dns": dns})).unwrap();
        let written = with(serde_json::json!({"nameservers": ["::ffff:10.0.0.11"], "options": ["ndots:5"]}));
        assert_eq!(written.nameservers, ["10.0.0.11"]);
        assert_eq!((written.search.len(), written.options), (0, vec!["ndots:5".to_owned()]));
        for nothing in [serde_json::json!({}), serde_json::json!({"domain": "", "search": []}), serde_json::json!(null)]
        {
            assert_eq!(with(nothing).nameservers, ["10.0.0.10"]);
        }
        let missing = serde_json::json!({"resolvConf": "/does/not/exist", "dns": {"search": ["."]}});
        assert_eq!(read_ipam(&missing).unwrap().search, ["."]);
    }

    #[test]
    fn what_a_resolver_would_pass_over_is_refused() {
        let long = format!("{}.local", "a".repeat(64));
        for (dns, field) in [
            (
                serde_json::json!({"nameservers": ["10.0.0.10", "dns.local"]}),
                "ipam.dns.nameservers[1] is \"dns.local\"",
            ),
            (serde_json::json!({"nameservers": [""]}), "ipam.dns.nameservers[0] is \"\""),
            (serde_json::json!({"domain": "a..b"}), "ipam.dns.domain is \"a..b\""),
            (serde_json::json!({"domain": "."}), "ipam.dns.domain is \".\""),
            (serde_json::json!({"search": ["a.local b.local"]}), "ipam.dns.search[0] is \"a.local b.local\""),
            (serde_json::json!({"search": [long]}), "ipam.dns.search[0] is"),
            (serde_json::json!({"search": ["-a.local"]}), "ipam.dns.search[0] is"),
            (serde_json::json!({"options": ["ndots: 5"]}), "ipam.dns.options[0] is \"ndots: 5\""),
            (serde_json::json!({"search": vec!["a.local"; 33]}), "ipam.dns.search has 33 entries: expected at most 32"),
        ] {
            let error = read_ipam(&serde_json::json!({"dns": dns})).unwrap_err();
            assert!(error.code() == 7 && error.to_string().starts_with(field), "{error}");
        }
        let error = read_ipam(&serde_json::json!({"dns": {"nameservers": "10.0.0.10"}})).unwrap_err();
        assert!(error.to_string().starts_with("ipam.dns.nameservers"), "{error}");
    }
}
