//! Certificates, users and quotas: each thing that can be wrong, told by its file and its reason.

use std::fs;
use std::path::Path;

use kube_ipam_tests::authority::Authority;

use super::*;

fn ping(options: Options) -> Result<(), StoreError> {
    block_on(Store::new(Etcd::new(options), "/kube-ipam", "blue").ping())
}

#[test]
fn certificates_are_read_at_each_call_and_named_when_they_are_bad() {
    let server = Server::encrypted();
    let authority = server.authority();
    authority.issue("expired", 2020);
    fs::write(authority.path("empty.pem"), "").unwrap();
    fs::write(authority.path("broken.pem"), "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n").unwrap();
    ping(server.options()).unwrap();

    let good = || server.options();
    let some = |name: &str| Some(authority.path(name));
    let cases = [
        (Options { cert: some("expired.pem"), ..good() }, "etcdCertFile", "it expired on 2020-05-06T00:00:00Z"),
        (Options { ca: some("expired.pem"), ..good() }, "etcdTrustedCAFileFile", "it expired on 2020-05-06T00:00:00Z"),
        (Options { cert: some("none.pem"), ..good() }, "etcdCertFile", "No such file or directory"),
        (Options { ca: some("empty.pem"), ..good() }, "etcdTrustedCAFileFile", "it has no CERTIFICATE in PEM"),
        (Options { cert: some("broken.pem"), ..good() }, "etcdCertFile", "it is not PEM"),
        (Options { key: some("client.pem"), ..good() }, "etcdKeyFile", "it has no PRIVATE KEY in PEM"),
        (Options { key: some("server.key"), ..good() }, "etcdKeyFile", "it is not the key of etcdCertFile"),
        (Options { key: None, ..good() }, "etcdCertFile", "there is no etcdKeyFile for it"),
    ];
    for (options, field, what) in cases {
        let error = ping(options).unwrap_err();
        let told = error.to_string();
        assert!(matches!(error, StoreError::Credentials { .. }), "{error:?}");
        assert!(told.starts_with(field) && told.contains(what), "{told}");
    }

    // What only the handshake can tell names the endpoint and the reason.
    let elsewhere = tempfile::tempdir().unwrap();
    let stranger = Authority::new(elsewhere.path());
    let error = ping(Options { ca: Some(stranger.path("ca.pem")), ..good() }).unwrap_err().to_string();
    assert!(error.contains(&server.url()) && error.contains("invalid peer certificate"), "{error}");
    let error = ping(Options { cert: None, key: None, ..good() }).unwrap_err().to_string();
    assert!(error.contains(&server.url()), "{error}");
    let error = ping(at(&[&server.url().replace("https", "http")])).unwrap_err().to_string();
    assert!(error.contains("etcd does not answer: http://"), "{error}");
    // etcd reads its certificate at every handshake.
    authority.issue_for("server", 2999, &["elsewhere.example"]);
    let error = ping(good()).unwrap_err().to_string();
    assert!(error.contains(&server.url()) && error.contains("elsewhere.example"), "{error}");
}

#[test]
fn a_user_sees_its_prefix_and_a_wrong_password_is_told_as_such() {
    let server = Server::start(&["--bcrypt-cost", "4"]);
    let commands = [
        "user add root:secret",
        "user grant-role root root",
        "role add ipam",
        "role grant-permission ipam readwrite /kube-ipam/ --prefix",
        "user add ipam:word",
        "user grant-role ipam ipam",
        "auth enable",
    ];
    for command in commands {
        server.control(&command.split(' ').collect::<Vec<_>>());
    }
    let dir = tempfile::tempdir().unwrap();
    let password = |text: &str| {
        let path: &Path = &dir.path().join(text.trim());
        fs::write(path, text).unwrap();
        Options { username: Some("ipam".into()), password_file: Some(path.to_owned()), ..at(&[&server.url()]) }
    };
    ping(password("word\n")).unwrap();
    block_on(async {
        let etcd = Etcd::new(password("word"));
        let bench = Bench::with_prefix(etcd, &["10.0.0.0/24"], "/kube-ipam".into());
        bench.hold(&requester("one", "a"), &[dynamic("10.0.0.2")]).await;
        bench.agrees().await;
    });
    let error = ping(password("wrong")).unwrap_err();
    let expected = format!("etcd at {} refused to log in: etcdserver: authentication failed", server.url());
    assert!(error.to_string().starts_with(&expected), "{error}");
    let error = block_on(Store::new(Etcd::new(password("word")), "/other", "blue").ping()).unwrap_err();
    assert!(error.to_string().contains("permission denied"), "{error}");
    assert!(error.hint().unwrap().contains("etcdPrefix"));
    let error = ping(at(&[&server.url()])).unwrap_err();
    assert!(matches!(error, StoreError::Refused { .. }), "{error}");
    let rehearse =
        |domain: &str, prefix: &str| block_on(Store::new(Etcd::new(password("word")), prefix, domain).rehearse());
    rehearse("blue", "/kube-ipam").unwrap();
    let error = rehearse("blue", "/kube-ipam2").unwrap_err();
    assert!(matches!(error, StoreError::Refused { doing: "write", .. }), "{error}");
    let missing = Options { password_file: Some(dir.path().join("none")), ..password("word") };
    assert!(ping(missing).unwrap_err().to_string().starts_with("etcdPasswordFile "));
}

#[test]
fn a_full_etcd_still_releases_and_says_what_to_do() {
    let server = Server::start(&["--quota-backend-bytes", "2000000"]);
    block_on(async {
        let etcd = Etcd::new(at(&[&server.url()]));
        let bench = Bench::new(etcd, &["10.0.0.0/24"]);
        let (one, two) = (requester("one", "a"), requester("two", "b"));
        let kept = crate::conformance::held_for("me", 60, dynamic("10.0.0.2"));
        bench.hold(&one, &[kept]).await;
        bench.store.ping().await.unwrap();
        // Fill the quota with something else.
        let mut client = etcd_client::Client::connect([server.url()], None).await.unwrap();
        let mut nth = 0;
        while client.put(format!("junk/{nth}"), vec![b'x'; 500_000], None).await.is_ok() {
            nth += 1;
            assert!(nth < 100, "the quota does not hold");
        }
        let look = bench.look(&two, &[]).await;
        let error = bench.store.claim(look, &[vec![dynamic("10.0.0.3")]], None, &[]).await.unwrap_err();
        assert_eq!(error.to_string(), format!("the address store at {} is full", server.url()));
        assert!(error.hint().unwrap().contains("NOSPACE"));
        assert!(matches!(bench.store.ping().await, Err(StoreError::Full { .. })));
        assert!(matches!(bench.store.rehearse().await, Err(StoreError::Full { .. })));
        // A release passes, at the price of the hold.
        assert!(bench.release(&one).await.is_some());
        assert_eq!(bench.holder_of("10.0.0.2").await, None);
        bench.agrees().await;
    });
}
