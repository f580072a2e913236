//! Whom the server lets in, how long it waits for whom, and how it ends.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube_ipam_tests::authority::Authority;
use kube_ipam_tests::node::{command, printed};
use kube_ipam_tests::serving::{Replied, Serving};
use serde_json::json;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::{at_rest, serving, sites};
use crate::operator::Site;

const TOKEN: &str = "c2VjcmV0LXRva2VuLW9mLWEtdGVzdA==";

fn site() -> Site {
    Site::embedded(&json!({"subnet": "10.1.0.0/28"}))
}

fn request(host: &str, lines: &str) -> String {
    format!("GET /api/v1/networks HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{lines}\r\n")
}

#[test]
fn nothing_but_reading_is_understood_and_whatever_is_tried_changes_nothing() {
    for site in sites() {
        let serving = serving(&site);
        let before = at_rest(&site);
        for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW"] {
            for part in ["addresses", "reservations", "search?q=10.1.0.3", "release"] {
                let text = format!(
                    "{method} /api/v1/{part} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
                );
                let replied = serving.send(&text);
                assert!((400..500).contains(&replied.status), "{method} {part}: {replied:?}");
            }
        }
        let replied = serving.send(&request("127.0.0.1", "Content-Length: 5\r\n"));
        assert_eq!(replied.status, 413);
        let replied = serving.send("HEAD /api/v1/networks HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
        assert_eq!((replied.status, replied.body.as_str()), (200, ""));
        assert_eq!(at_rest(&site), before);
    }
}

#[test]
fn another_name_for_this_machine_is_turned_away() {
    let site = site();
    let serving = serving(&site);
    for host in ["127.0.0.1", "localhost:1234", "[::1]:9099"] {
        assert_eq!(serving.send(&request(host, "")).status, 200, "{host}");
    }
    for host in ["evil.example", "127.0.0.1.evil.example:9099", "10.0.0.1", ""] {
        let replied = serving.send(&request(host, ""));
        assert!(matches!(replied.status, 400 | 421) && !replied.body.contains("blue"), "{host}: {replied:?}");
    }
    let page = serving.get("/");
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(page.header("access-control-allow-origin"), None);
}

#[test]
fn whoever_listens_to_others_asks_for_a_token() {
    let site = site();
    let conf = site.file().display().to_string();
    let refused = command(&["serve", "--listen", "0.0.0.0:0", "--conf", &conf]).output().unwrap();
    assert!(!refused.status.success() && printed(&refused).contains("--token-file FILE"), "{}", printed(&refused));
    let token = site.directory.path().join("token");
    let token_file = token.display().to_string();
    std::fs::write(&token, "short\n").unwrap();
    let refused = command(&["serve", "--token-file", &token_file, "--conf", &conf]).output().unwrap();
    assert!(printed(&refused).contains("fewer than 16 characters"), "{}", printed(&refused));

    std::fs::write(&token, format!("{TOKEN}\n")).unwrap();
    let serving = Serving::start(&["--token-file", &token_file, "--conf", &conf]);
    let bearer = |token: &str| request("node-1", &format!("Authorization: Bearer {token}\r\n"));
    assert_eq!(serving.send(&bearer(TOKEN)).status, 200);
    for wrong in [&TOKEN[1..], "", "x"] {
        let replied = serving.send(&bearer(wrong));
        assert_eq!((replied.status, replied.header("www-authenticate")), (401, Some("Bearer")), "{wrong}");
    }
    assert_eq!(serving.get("/api/v1/addresses").status, 401);
    assert_eq!(serving.get(&format!("/api/v1/networks?token={TOKEN}")).status, 401, "not in the address");
    assert_eq!((serving.get("/").status, serving.get("/page.js").status), (200, 200), "the page asks for it");
}

#[test]
fn slow_clients_and_large_heads_hold_nobody_up() {
    let site = site();
    let serving = serving(&site);
    let mut slow = Vec::new();
    for _ in 0..40 {
        let mut stream = serving.connect();
        stream.write_all(b"GET /api/v1/networks HTTP/1.1\r\nHost: 127.").unwrap();
        slow.push(stream);
    }
    // One that asks, and reads nothing of what comes.
    let mut deaf = serving.connect();
    for _ in 0..200 {
        if deaf.write_all(request("127.0.0.1", "").replace("close", "keep-alive").as_bytes()).is_err() {
            break;
        }
    }
    let began = Instant::now();
    assert_eq!(serving.json("networks")["networks"][0]["name"], "blue");
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    let large = request("127.0.0.1", &format!("X-Large: {}\r\n", "x".repeat(40_000)));
    assert_eq!(serving.send(&large).status, 431);
    let many: String = (0..200).map(|nth| format!("X-{nth}: x\r\n")).collect();
    assert_eq!(serving.send(&request("127.0.0.1", &many)).status, 431);
    // Whoever sends no head loses the connection, without having been told anything.
    let mut told = Vec::new();
    let ended = slow[0].read_to_end(&mut told);
    assert!(began.elapsed() < Duration::from_secs(40), "{ended:?} {:?}", String::from_utf8_lossy(&told));
}

#[test]
fn it_ends_when_it_is_told_to_and_what_is_on_its_way_arrives() {
    let site = site();
    let serving = serving(&site);
    let idle = serving.connect();
    let began = Instant::now();
    assert!(serving.stop().success());
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    drop(idle);

    // A store that does not answer takes three seconds to say so: longer than it takes to be told to stop.
    let mut away = site.configuration.clone();
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    away["ipam"]["etcdConfig"] = json!({"etcdURL": format!("http://{}", deaf.local_addr().unwrap())});
    let conf = site.directory.path().join("away.conf");
    std::fs::write(&conf, away.to_string()).unwrap();
    let serving = Serving::start(&["--conf", conf.to_str().unwrap()]);
    let mut stream = serving.connect();
    stream.write_all(request("127.0.0.1", "").replace("networks", "ranges").as_bytes()).unwrap();
    let _asked = deaf.accept().unwrap();
    serving.terminate();
    let replied = Replied::read(stream);
    assert!(replied.status == 200 && replied.body.contains("etcd does not answer"), "{replied:?}");
}

#[test]
fn with_a_certificate_it_speaks_https() {
    let site = site();
    let authority = Authority::new(site.directory.path());
    let [cert, key, conf] = [authority.path("server.pem"), authority.path("server.key"), site.file()]
        .map(|path| path.display().to_string());
    let refused = command(&["serve", "--cert", &cert, "--key", &conf, "--conf", &conf]).output().unwrap();
    assert!(printed(&refused).contains("cannot use the certificate"), "{}", printed(&refused));

    let serving = Serving::start(&["--cert", &cert, "--key", &key, "--conf", &conf]);
    assert!(serving.url().starts_with("https://"));
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority.certificate()).unwrap()).unwrap();
    let config =
        ClientConfig::builder_with_provider(default_provider().into()).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let client = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let mut stream = StreamOwned::new(client, TcpStream::connect(serving.address()).unwrap());
    stream.write_all(request("localhost", "").as_bytes()).unwrap();
    assert_eq!(Replied::read(stream).status, 200);
}
