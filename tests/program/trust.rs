//! Who vouches for a module: it is signed by its author and by others, with our own keys and with those of minisign, and a
//! node takes no other. OpenSSL and minisign are the judges of what we make and accept.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use kube_ipam_tests::guest::Guest;
use kube_ipam_tests::node::Node;
use serde_json::{Value, json};

/// A node, and on another machine an author with a module and a key.
struct Site {
    node: Node,
    network: Value,
}

impl Site {
    /// The network trusts these keys.
    fn trusting(keys: &[&str], threshold: u64) -> Self {
        let node = Node::new();
        fs::create_dir(node.path("author")).unwrap();
        fs::write(node.path("author/good.wasm"), Guest::named("good").module()).unwrap();
        let keys: Vec<_> = keys.iter().map(|key| node.path(&format!("author/{key}.pub"))).collect();
        let policy = json!({"module": node.path("modules/good.wasm"), "trust": {"keys": keys, "threshold": threshold}});
        let network = node.network(policy);
        Self { node, network }
    }

    fn author(&self, arguments: &[&str]) -> String {
        let (status, told) = self.node.run(&[&["policy"], arguments].concat());
        assert_eq!(status, Some(0), "{told}");
        told
    }

    fn path(&self, name: &str) -> String {
        self.node.path(&format!("author/{name}")).display().to_string()
    }

    fn keygen(&self, name: &str) {
        self.author(&["keygen", &self.path(name)]);
    }

    fn sign(&self, name: &str) {
        self.author(&["sign", &self.path("good.wasm"), "--key", &self.path(&format!("{name}.key"))]);
    }

    /// As minisign's own program does it, with a key that has no password.
    fn minisign(&self, name: &str) {
        let (public, secret) = (self.path(&format!("{name}.pub")), self.path(&format!("{name}.secret")));
        let (module, signature) = (self.path("good.wasm"), self.path(&format!("good.wasm.{name}.minisig")));
        run("minisign", &["-G", "-W", "-f", "-p", &public, "-s", &secret]);
        run("minisign", &["-S", "-W", "-s", &secret, "-m", &module, "-x", &signature]);
    }

    fn install(&self) -> (Option<i32>, String) {
        self.node.install(&self.node.path("author/good.wasm"), &self.network)
    }

    /// It is refused for this reason, and nothing of it has reached the node.
    fn assert_refused(&self, why: &str) {
        let (status, told) = self.install();
        assert!(status == Some(1) && told.contains(why) && told.contains("hint: "), "{told}");
        assert!(!self.node.path("modules/good.wasm").exists());
    }

    /// The line of the doctor about signatures.
    fn doctor(&self) -> String {
        let (_, told) = self.node.run(&["doctor", "--conf", &self.node.conf(&self.network)]);
        told.lines().find(|line| line.contains(" signatures ")).unwrap_or_else(|| panic!("{told}")).to_owned()
    }
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
}

/// Change one bit in the middle.
fn change(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file, bytes).unwrap();
}

#[test]
fn a_node_takes_what_its_network_trusts_and_nothing_else() {
    let site = Site::trusting(&["alice"], 1);
    site.keygen("alice");
    site.keygen("mallory");
    site.assert_refused("nobody has signed");
    site.sign("mallory");
    site.assert_refused("0 of 1 trusted signatures");
    site.sign("alice");
    let (status, told) = site.install();
    assert!(status == Some(0) && told.contains("signed by alice\n"), "{told}");

    // What OpenSSL says of the signature.
    let der = site.path("der");
    run("openssl", &["base64", "-d", "-A", "-in", &site.path("good.wasm.alice.sig"), "-out", &der]);
    run(
        "openssl",
        &["dgst", "-sha256", "-verify", &site.path("alice.pub"), "-signature", &der, &site.path("good.wasm")],
    );

    let (_, listed) = site.node.run(&["policy", "ls", "-o", "json", "--conf", &site.node.conf(&site.network)]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed[1]["signers"], json!(["alice"]), "{listed}");
    let line = site.doctor();
    assert!(line.starts_with('!') && line.contains("signed by alice, but is not pinned"), "{line}");

    // Whoever replaces it afterwards is seen.
    change(&site.node.path("modules/good.wasm"));
    let line = site.doctor();
    assert!(line.starts_with('✗') && line.contains("0 of 1 trusted signatures"), "{line}");
}

#[test]
fn a_module_that_was_changed_by_a_bit_is_refused() {
    let site = Site::trusting(&["alice"], 1);
    site.keygen("alice");
    site.sign("alice");
    change(&site.node.path("author/good.wasm"));
    site.assert_refused("was not made with a trusted key, or is for another module");
}

#[test]
fn two_have_to_sign_with_keys_of_different_kinds() {
    let site = Site::trusting(&["alice", "bob"], 2);
    site.keygen("alice");
    site.sign("alice");
    site.minisign("bob");
    // One of them twice is one of them.
    fs::rename(site.path("good.wasm.bob.minisig"), site.path("away")).unwrap();
    fs::copy(site.path("good.wasm.alice.sig"), site.path("good.wasm.again.sig")).unwrap();
    site.assert_refused("1 of 2 trusted signatures");
    fs::rename(site.path("away"), site.path("good.wasm.bob.minisig")).unwrap();
    let (status, told) = site.install();
    assert!(status == Some(0) && told.contains("signed by alice, bob\n"), "{told}");
    assert_eq!(
        site.node.names("modules"),
        ["good.wasm", "good.wasm.again.sig", "good.wasm.alice.sig", "good.wasm.bob.minisig"]
    );
}

#[test]
fn keys_that_cannot_be_used_are_named() {
    let site = Site::trusting(&["alice"], 1);
    site.keygen("mallory");
    site.sign("mallory");
    site.assert_refused("alice.pub");
    run("openssl", &["genpkey", "-algorithm", "ed25519", "-out", &site.path("ed25519.key")]);
    run("openssl", &["pkey", "-in", &site.path("ed25519.key"), "-pubout", "-out", &site.path("alice.pub")]);
    site.assert_refused("is not a public key of minisign, nor an ECDSA P-256 key in PEM");
    let (status, told) =
        site.node.run(&["policy", "sign", &site.path("good.wasm"), "--key", &site.path("ed25519.key")]);
    assert!(status == Some(1) && told.contains("is not a private key for ECDSA P-256"), "{told}");
    let (status, told) = site.node.run(&["policy", "keygen", &site.path("mallory")]);
    assert!(status == Some(1) && told.contains("a key is never replaced"), "{told}");
}

#[test]
fn install_node_takes_what_its_keys_have_signed() {
    let site = Site::trusting(&["alice"], 1);
    for directory in ["keys", "policies"] {
        fs::create_dir(site.node.path(directory)).unwrap();
    }
    let path = |name: &str| site.node.path(name).display().to_string();
    let (from, to, keys, data) = (path("author"), path("policies"), path("keys"), path("data"));
    let arguments =
        ["install-node", "--policies", &from, "--policy-dir", &to, "--trusted-keys", &keys, "--data-dir", &data];
    let (status, told) = site.node.run(&arguments);
    assert!(status == Some(1) && told.contains("there is no key in"), "{told}");
    site.keygen("alice");
    fs::copy(site.path("alice.pub"), site.node.path("keys/alice.pub")).unwrap();
    let (status, told) = site.node.run(&arguments);
    assert!(status == Some(1) && told.contains("nobody has signed"), "{told}");
    assert_eq!(site.node.names("policies"), [""; 0]);
    site.sign("alice");
    let (status, told) = site.node.run(&arguments);
    assert_eq!(status, Some(0), "{told}");
    assert_eq!(site.node.names("policies"), ["good.wasm", "good.wasm.alice.sig"]);
    let (status, told) = site.node.run(&[&arguments[..], &["--signatures", "0"]].concat());
    assert!(status == Some(2) && told.contains("--signatures"), "nobody would be asked: {told}");
    let (status, told) = site.node.run(&[&arguments[..], &["--signatures", "2"]].concat());
    assert!(status == Some(1) && told.contains("2 keys must have signed, and only 1 are trusted"), "{told}");
}
