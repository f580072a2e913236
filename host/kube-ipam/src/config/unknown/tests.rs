//! Tried on every key that the schema has, so that a key added later is tried as well.

use serde_json::{Map, Value, json};

use super::*;
use crate::config::{Base, Network};
use cni::{Args, Fail, Failure, NetConf};

/// A network that has the objects whose fields are not all optional, and of every list an entry.
fn whole() -> Value {
    let range = json!({"subnet": "10.2.0.0/24", "exclude": ["10.2.0.9"]});
    let policy = json!({
        "module": "/opt/site.wasm", "settings": {"free": {"form": 1}}, "limits": {"fuel": 1_000_000},
        "shadow": {"module": "/opt/next.wasm"}, "record": {"file": "/var/log/decisions"}, "trust": {"keys": ["/opt/alice.pub"]},
    });
    json!({"cniVersion": "1.1.0", "name": "blue", "type": "bridge", "ipam": {
        "type": "kube-ipam", "nodeName": "node-1", "subnet": "10.1.0.0/24", "ranges": [[range]],
        "etcdConfig": {"etcdURL": "http://10.0.0.1:2379"}, "kubeConfig": "/etc/kubeconfig",
        "kubernetes": {"include": ["labels"]}, "routes": [{"dst": "0.0.0.0/0"}], "policy": policy,
    }})
}

/// A place in the configuration: its JSON pointer, its path in messages, and its schema.
struct Place<'a> {
    pointer: String,
    path: String,
    schema: &'a Value,
}

/// The place itself, then everything below it.
fn places<'a>(pointer: String, path: String, schema: &'a Value, found: &mut Vec<Place<'a>>) {
    found.push(Place { pointer: pointer.clone(), path: path.clone(), schema });
    if let Some(items) = items(schema) {
        places(format!("{pointer}/0"), format!("{path}[0]"), items, found);
    }
    for (key, schema) in properties(schema).into_iter().flatten() {
        places(format!("{pointer}/{key}"), format!("{path}.{key}"), schema, found);
    }
}

/// The object there; an empty one where the example has none.
fn object_at<'a>(configuration: &'a mut Value, pointer: &str) -> &'a mut Map<String, Value> {
    if configuration.pointer(pointer).is_none() {
        let (outer, key) = pointer.rsplit_once('/').unwrap();
        object_at(configuration, outer).insert(key.to_owned(), json!({}));
    }
    configuration.pointer_mut(pointer).unwrap().as_object_mut().unwrap_or_else(|| panic!("{pointer} is not an object"))
}

fn add(configuration: &Value) -> Result<(), Error> {
    let netconf = NetConf::parse(configuration.to_string().as_bytes())?;
    Base::read(&netconf)?;
    Network::read(&netconf, &Args::default()).map(|_| ())
}

#[test]
fn no_object_lets_an_unknown_key_pass() {
    assert_eq!(add(&whole()).map_err(|error| error.to_string()), Ok(()));
    let (schema, mut places_found, mut objects) = (schema(), Vec::new(), 0);
    places("/ipam".to_owned(), "ipam".to_owned(), &schema, &mut places_found);
    for place in places_found.iter().filter(|place| properties(place.schema).is_some()) {
        let with = |key: &str| {
            let mut configuration = whole();
            object_at(&mut configuration, &place.pointer).insert(key.to_owned(), json!({"any": "thing"}));
            configuration
        };
        let refused = add(&with("colour")).unwrap_err();
        assert_eq!(
            (refused.code(), refused.to_string()),
            (7, format!("{}.colour is not a key of kube-ipam", place.path))
        );
        let of_file =
            unknown_keys(&with("colour")["ipam"]).into_iter().map(Error::from).map(|error| Failure::from(&error));
        assert_eq!(of_file.collect::<Vec<_>>(), [Failure::from(&refused)], "`config check` says the same");
        assert!(add(&with("x-colour")).is_ok(), "{}", place.path);

        let netconf = NetConf::parse(with("colour").to_string().as_bytes()).unwrap();
        assert!(Base::read(&netconf).is_ok() && Network::range_sets(&netconf).is_ok(), "other verbs: {}", place.path);
        objects += 1;
    }
    assert!(objects > 8, "{objects} objects in the schema");
}

#[test]
fn every_wrong_value_is_refused_in_plain_words() {
    const JARGON: [&str; 11] =
        ["invalid", "sequence", "a map", "map,", "u32", "u64", "f64", "missing field", "duplicate", "variant", "`"];
    let wrong = [
        json!(7),
        json!(-7),
        json!(1.5),
        json!(true),
        json!("x"),
        json!([]),
        json!([7]),
        json!({}),
        json!({"x-": 1}),
        json!([null]),
        json!([[7]]),
        json!([{}]),
        json!(["x", {"a": 1}]),
    ];
    let (schema, mut places_found, mut refused) = (schema(), Vec::new(), 0);
    places("/ipam".to_owned(), "ipam".to_owned(), &schema, &mut places_found);
    for place in &places_found {
        for wrong in &wrong {
            let mut configuration = whole();
            let (object, key) = place.pointer.rsplit_once('/').unwrap();
            match configuration.pointer_mut(object) {
                Some(Value::Object(object)) => _ = object.insert(key.to_owned(), wrong.clone()),
                Some(Value::Array(list)) => list[0] = wrong.clone(),
                _ => continue,
            }
            let Err(error) = add(&configuration) else { continue };
            let failure = Failure::from(&error);
            refused += 1;
            assert!([6, 7].contains(&failure.code), "{failure:?}");
            assert!(!failure.details.is_empty(), "{failure:?}");
            let jargon = JARGON.iter().find(|jargon| failure.msg.contains(**jargon));
            assert_eq!(jargon, None, "{} with {wrong}: {}", place.path, failure.msg);
        }
    }
    assert!(refused > 300, "{refused} refusals");
}

#[test]
fn a_suggestion_is_the_nearest_key_or_the_place_where_it_belongs() {
    let suggested = |object: &str, key: &str| suggestion(object, key, &schema()).unwrap_or_default();
    let cases = [
        ("ipam", "etcdconfig", "did you mean \"etcdConfig\"?"),
        ("ipam", "etcd_config", "did you mean \"etcdConfig\"?"),
        ("ipam", "etcdURL", "it belongs in ipam.etcdConfig"),
        ("ipam", "etcdurl", "did you mean \"etcdURL\", which belongs in ipam.etcdConfig?"),
        ("ipam", "polcy", "did you mean \"policy\"?"),
        ("ipam", "settings", "it belongs in ipam.policy"),
        ("ipam", "range_start", "did you mean \"rangeStart\"?"),
        ("ipam", "excludes", "did you mean \"exclude\"?"),
        ("ipam", "colour", ""),
        ("ipam.policy", "modul", "did you mean \"module\"?"),
        ("ipam.policy", "fuel", "it belongs in ipam.policy.limits"),
        ("ipam.policy.shadow", "modul", "did you mean \"module\"?"),
        ("ipam.etcdConfig", "etcdTrustedCAFile", "did you mean \"etcdTrustedCAFileFile\"?"),
        ("ipam.etcdConfig", "dataDir", "it belongs in ipam"),
        ("ipam.ranges[0][3]", "range_end", "did you mean \"rangeEnd\"?"),
        ("ipam.routes[12]", "gateway", "did you mean \"gw\"?"),
        ("ipam.routes[12]", "metric", "did you mean \"priority\"?"),
    ];
    for (object, key, expected) in cases {
        assert_eq!(suggested(object, key), expected, "{key} in {object}");
    }
}

#[test]
fn a_key_is_shown_in_a_way_that_a_terminal_survives() {
    let key = format!("\u{1b}[2J{}", "x".repeat(1_000_000));
    let failure = Failure::from(&Error::from(unknown_keys(&json!({ key: 1 })).remove(0)));
    assert!(failure.msg.starts_with(r#"ipam."\u{1b}[2Jxxx"#), "{}", failure.msg);
    assert!(failure.msg.len() < 120, "{}", failure.msg);
}

/// A template whose value was forgotten must not change the store or the policy.
#[test]
fn what_decides_the_store_or_the_policy_is_never_null_or_empty() {
    let keys = [
        ("/ipam/etcdConfig", false),
        ("/ipam/etcdConfig/etcdPrefix", true),
        ("/ipam/dataDir", true),
        ("/ipam/domain", true),
        ("/ipam/policy", false),
        ("/ipam/policy/module", true),
        ("/ipam/policy/sha256", true),
        ("/ipam/policy/settings", false),
        ("/ipam/policy/limits", false),
        ("/ipam/policy/shadow", true),
        ("/ipam/policy/shadow/sha256", true),
        ("/ipam/policy/shadow/settings", false),
        ("/ipam/policy/record", true),
        ("/ipam/policy/onFault", true),
        ("/ipam/policy/cacheDir", true),
    ];
    for (pointer, is_text) in keys {
        let path = pointer[1..].replace('/', ".");
        for nothing in [json!(null), json!("")] {
            if nothing == "" && !is_text {
                continue;
            }
            let mut configuration = whole();
            let (object, key) = pointer.rsplit_once('/').unwrap();
            object_at(&mut configuration, object).insert(key.to_owned(), nothing.clone());
            let refused = add(&configuration).unwrap_err();
            let told = format!("{path} is {nothing}: expected a value, or no such key");
            assert_eq!((refused.code(), refused.to_string()), (7, told));

            let netconf = NetConf::parse(configuration.to_string().as_bytes()).unwrap();
            assert!(Base::read(&netconf).is_ok(), "DEL and GC do without: {path} {nothing}");
            assert!(Network::range_sets(&netconf).is_ok(), "so does CHECK: {path} {nothing}");
            let all: Vec<String> = Network::errors(&netconf).iter().map(ToString::to_string).collect();
            assert_eq!(all, [refused.to_string()], "so says `config check`");
        }
    }
    for nothing in [json!(null), json!("")] {
        let mut configuration = whole();
        object_at(&mut configuration, "/ipam/etcdConfig").insert("etcdURL".to_owned(), nothing);
        let refused = add(&configuration).unwrap_err();
        assert!(refused.code() == 7 && refused.to_string().starts_with("ipam.etcdConfig.etcdURL is "), "{refused}");
    }
}
