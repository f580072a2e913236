//! Each file in `cases` is a configuration; the snapshot beside it says what every verb and what an ADD make of it.
//!
//! To add a case, write the JSON and run the tests with `INSTA_UPDATE=always`. A key `CNI_ARGS` at the top stands for
//! the variable; without `ipam.nodeName` the node is called `node-1`.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use cni::args::Requested;
use cni::{Args, Fail, Failure, NetConf};

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/config/cases");

#[test]
fn every_case_is_understood_or_refused_as_its_snapshot_says() {
    let files = fs::read_dir(CASES).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<_> = files.filter(|path| path.extension().is_some_and(|kind| kind == "json")).collect();
    cases.sort();
    assert!(cases.len() > 40, "the cases are gone");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("cases");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for case in &cases {
            insta::assert_snapshot!(case.file_stem().unwrap().to_str().unwrap(), outcome(case));
        }
    });
}

fn outcome(case: &Path) -> String {
    let mut json: Value = serde_json::from_slice(&fs::read(case).unwrap()).unwrap();
    let args = json.get("CNI_ARGS").and_then(Value::as_str).unwrap_or_default();
    let args = Args::parse(args).unwrap();
    if let Some(ipam) = json.get_mut("ipam").and_then(Value::as_object_mut) {
        ipam.entry("nodeName").or_insert("node-1".into());
    }
    let netconf = match NetConf::parse(json.to_string().as_bytes()) {
        Ok(netconf) => netconf,
        Err(error) => return refused(&Failure::from(&error)),
    };
    let (base, node) = match Base::read(&netconf) {
        // Which machine runs the tests is not a matter of the case.
        Ok(base) => (format!("{:#?}", Base { machine: "m1".into(), ..base.clone() }), base.check_node()),
        Err(error) => (refused(&Failure::from(&error)), Ok(())),
    };
    let network = match node.and_then(|()| Network::read(&netconf, &args)) {
        Ok(network) => understood(&network),
        Err(error) => refused(&Failure::from(&error)),
    };
    format!("every verb: {base}\nADD: {network}")
}

fn refused(failure: &Failure) -> String {
    let hint = if failure.details.is_empty() { String::new() } else { format!("\n  hint: {}", failure.details) };
    format!("code {}: {}{hint}", failure.code, failure.msg)
}

fn understood(network: &Network) -> String {
    let mut lines = vec![String::new()];
    for (nth, set) in network.range_sets.iter().enumerate() {
        for range in set.ranges() {
            let gateway = range.gateway().map(|gateway| format!(", gateway {gateway}")).unwrap_or_default();
            let fixed = range.fixed().map(|fixed| format!(", fixed {fixed}")).unwrap_or_default();
            lines.push(format!("range set {nth}: {} of {}{gateway}{fixed}", range.span(), range.subnet()));
        }
    }
    lines.extend(network.range_sets.excluded().iter().map(|excluded| format!("excluded: {excluded}")));
    lines.extend(network.routes.iter().map(|route| format!("{route:?}")));
    lines.push(format!("{:?}", network.dns));
    let requested: Vec<String> = network.requested.iter().map(ToString::to_string).collect();
    lines.push(format!("requested: [{}]", requested.join(", ")));
    lines.push(format!("{:#?}", network.policy));
    lines.push(format!("cooldown: {:?}, kubernetes: {:?}", network.cooldown, network.kubernetes));
    if network.cluster.is_some() || network.hand_over_wait != std::time::Duration::from_secs(8) {
        lines.push(format!("cluster: {:?}, wait for a hand-over: {:?}", network.cluster, network.hand_over_wait));
    }
    lines.push(format!("{:#?}", network.pod));
    if !network.annotations.is_empty() {
        lines.push(format!("annotations without a pod: {:#?}", network.annotations));
    }
    lines.join("\n")
}

#[test]
fn what_is_not_json_is_refused_with_a_clear_word() {
    let refusal = |json: &[u8]| refused(&Failure::from(&NetConf::parse(json).unwrap_err()));
    let nested = [br#"{"comment": "#.as_slice(), &b"[".repeat(100_000)].concat();
    let texts: [&[u8]; 9] = [
        b"",
        b" \n",
        b"\0\0\0\0",
        b"{\"name\": \"a\0b\"}",
        b"nonsense",
        b"{\"name\": \"n\"",
        b"{\"name\": \"n\"} {}",
        b"{\"name\": \"\xff\"}",
        b"[1, 2]",
    ];
    let lines: Vec<_> = texts.into_iter().chain([nested.as_slice()]).map(refusal).collect();
    insta::assert_snapshot!("not_json", lines.join("\n"));
}

#[test]
fn nesting_is_bounded_wherever_it_is_read() {
    let settings = "[".repeat(100_000) + &"]".repeat(100_000);
    let json = format!(
        r#"{{"name": "n", "ipam": {{"subnet": "10.0.0.0/24", "policy": {{"settings": {{"a": {settings}}}}}}}}}"#
    );
    let netconf = NetConf::parse(json.as_bytes()).unwrap();
    assert!(Base::read(&netconf).is_ok());
    let error = Network::read(&netconf, &Args::default()).unwrap_err();
    assert_eq!(error.code(), 6);
    assert!(Failure::from(&error).msg.contains("nested too deeply"), "{error}");
}

#[test]
fn more_than_the_limit_is_not_even_kept() {
    let endless = std::io::repeat(b' ');
    assert_eq!(
        NetConf::bytes(endless).unwrap_err().to_string(),
        "the network configuration is longer than 1048576 bytes"
    );
}

#[test]
fn lists_are_capped() {
    let error = |ipam: String| {
        let netconf = NetConf::parse(format!(r#"{{"name": "n", "ipam": {{{ipam}}}}}"#).as_bytes()).unwrap();
        Network::read(&netconf, &Args::default()).unwrap_err().to_string()
    };
    let excluded = vec![r#""10.0.0.9""#; 1025].join(",");
    assert_eq!(
        error(format!(r#""subnet": "10.0.0.0/24", "exclude": [{excluded}]"#)),
        "ipam.exclude has 1025 entries: expected at most 1024"
    );
    let ranges: Vec<_> = (0..257).map(|n| format!(r#"[{{"subnet": "10.{}.{}.0/24"}}]"#, n / 256, n % 256)).collect();
    assert_eq!(
        error(format!(r#""ranges": [{}]"#, ranges.join(","))),
        "ipam.ranges has 257 entries: expected at most 256"
    );
}

#[test]
fn a_node_without_a_configured_name_has_that_of_the_host() {
    let netconf = NetConf::parse(br#"{"name": "n", "ipam": {}}"#).unwrap();
    let base = Base::read(&netconf).unwrap();
    assert_eq!((base.node.to_lowercase(), base.node_given), (base.node.clone(), false));
    if let Err(error) = base.check_node() {
        assert!(error.to_string().starts_with("ipam.nodeName is missing"), "{error}");
    }
}

#[test]
fn a_name_that_anybody_has_is_refused_where_nodes_share_a_store() {
    let check = |name: &str, etcd: bool| {
        let mut ipam = serde_json::json!({"nodeName": name});
        if etcd {
            ipam["etcdConfig"] = serde_json::json!({"etcdURL": "http://127.0.0.1:2379"});
        }
        let netconf = serde_json::json!({"name": "n", "ipam": ipam}).to_string();
        Base::read(&NetConf::parse(netconf.as_bytes()).unwrap()).unwrap().check_node()
    };
    for name in ["localhost", "LocalHost", "localhost.localdomain", "localhost4", "localhost6.localdomain6", "12345"] {
        let error = check(name, true).unwrap_err();
        assert_eq!(error.code(), 7);
        assert!(error.to_string().contains(name) && error.hint().unwrap().contains("ipam.nodeName"), "{error}");
        assert!(check(name, false).is_ok(), "{name} on a store of its own");
    }
    for name in ["node-1", "10.0.0.1", "localhost-7", "a.localhost"] {
        assert!(check(name, true).is_ok(), "{name}");
    }
}

#[test]
fn where_a_network_may_have_been_before() {
    let dirs = |ipam: serde_json::Value| {
        let netconf = serde_json::json!({"name": "n", "ipam": ipam}).to_string();
        let base = Base::read(&NetConf::parse(netconf.as_bytes()).unwrap()).unwrap();
        base.earlier_dirs.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>()
    };
    let etcd = serde_json::json!({"etcdURL": "http://127.0.0.1:2379"});
    assert_eq!(dirs(serde_json::json!({})), [""; 0]);
    assert_eq!(dirs(serde_json::json!({"dataDir": "/data"})), [DEFAULT_DATA_DIR]);
    assert_eq!(dirs(serde_json::json!({"etcdConfig": etcd})), [DEFAULT_DATA_DIR]);
    assert_eq!(dirs(serde_json::json!({"dataDir": "/data", "etcdConfig": etcd})), ["/data", DEFAULT_DATA_DIR]);
    assert_eq!(dirs(serde_json::json!({"dataDir": "data", "etcdConfig": etcd})), [DEFAULT_DATA_DIR]);
}

#[test]
fn resolv_conf_is_handed_on() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "nameserver 10.0.0.10\nsearch cluster.local\n").unwrap();
    let ipam = serde_json::json!({"subnet": "10.0.0.0/24", "resolvConf": file.path()});
    let netconf = serde_json::json!({"name": "n", "ipam": ipam}).to_string();
    let network = Network::read(&NetConf::parse(netconf.as_bytes()).unwrap(), &Args::default()).unwrap();
    assert_eq!(network.dns.nameservers, ["10.0.0.10"]);
}

/// Everything that reads a configuration, on whatever bytes: nothing may panic, and whatever is refused can be told.
fn read_everything(json: &[u8]) {
    let _ = NetConf::version_to_answer_in(json);
    let netconf = match NetConf::parse(json) {
        Ok(netconf) => netconf,
        Err(error) => return assert_tellable(&error),
    };
    if let Err(error) = Base::read(&netconf) {
        assert_tellable(&error);
    }
    let errors = Network::errors(&netconf);
    errors.iter().for_each(assert_tellable);
    if let Err(error) = netconf.valid_attachments() {
        assert_tellable(&error);
    }
    if let Err(error) = netconf.previous().and_then(|previous| previous.addresses()) {
        assert_tellable(&error);
    }
    let asked = Requested { address: [10, 0, 0, 1].into(), prefix_length: Some(24) };
    let args = Args { addresses: vec![asked], ..Args::default() };
    if let Err(error) = Network::read(&netconf, &args) {
        assert_tellable(&error);
    }
}

/// Without a hint nobody knows what to do, and a control character may lead a terminal astray.
fn assert_tellable<E: Fail>(error: &E) {
    let Failure { msg, details, .. } = Failure::from(error);
    assert!(!details.is_empty(), "no hint: {msg}");
    assert!(msg.chars().count() + details.chars().count() <= limits::EVENT, "too long for an event: {msg} {details}");
    assert!(!msg.chars().chain(details.chars()).any(char::is_control), "control characters: {msg:?} {details:?}");
}

const TEXTS: &str = "/ /0 0.0.0.0/0 ::/0 10.0.0.0/31 ffff::/127 255.255.255.255 :: 10.0.0.1 30s -1s 1e99h";

const KEYS: &str = "subnet rangeStart rangeEnd gateway fixedStart fixedEnd ranges exclude routes dst gw policy settings \
    limits fuel sha256 module etcdConfig etcdURL timeout cooldown address ips ipRanges cni ip4 ip containerID ifname";

fn one_of(words: &'static str) -> impl Strategy<Value = String> {
    proptest::sample::select(words.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
}

fn text() -> impl Strategy<Value = Value> {
    prop_oneof![one_of(TEXTS).prop_map(Value::from), any::<String>().prop_map(Value::from)]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf =
        prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), any::<i64>().prop_map(Value::from), text()];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((one_of(KEYS), inner), 0..6)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        read_everything(&bytes);
    }

    #[test]
    fn no_damage_to_a_good_configuration_makes_the_parser_panic(at in 0..2000usize, bytes in proptest::collection::vec(any::<u8>(), 1..8)) {
        let mut json = fs::read(Path::new(CASES).join("good-everything.json")).unwrap();
        let at = at % json.len();
        let end = (at + bytes.len()).min(json.len());
        json.splice(at..end, bytes);
        read_everything(&json);
    }

    #[test]
    fn no_value_of_any_field_makes_the_parser_panic(ipam in proptest::collection::vec((one_of(KEYS), value()), 0..8), rest in value()) {
        let ipam: serde_json::Map<String, Value> = ipam.into_iter().collect();
        let json = serde_json::json!({
            "name": "n", "ipam": ipam, "runtimeConfig": rest, "args": rest, "prevResult": rest, "cni.dev/attachments": rest,
        });
        read_everything(json.to_string().as_bytes());
    }
}
