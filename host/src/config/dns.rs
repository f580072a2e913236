//! `resolvConf`: the settings of a resolv.conf file, handed on to the pod.

use super::error::Error;
use super::field::{absolute_path, read_text};
use super::regular::read_regular;
use crate::cni::{Dns, NetConf};
use crate::limits;

const FIELD: &str = "ipam.resolvConf";

pub(super) fn read(netconf: &NetConf) -> Result<Dns, Error> {
    let Some(held) = read_text(netconf.ipam()?.resolv_conf.as_ref(), FIELD)? else { return Ok(Dns::default()) };
    let file = absolute_path(FIELD, &held)?;
    match read_regular(&file, limits::RESOLV_CONF_BYTES) {
        Ok(text) => Ok(parse(&String::from_utf8_lossy(&text))),
        Err(source) => Err(Error::File { field: FIELD, file, source }),
    }
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
}
