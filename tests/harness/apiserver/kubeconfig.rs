//! Files that tell clients where the server is and who they are.

use std::path::PathBuf;

use super::{ApiServer, uuid};

/// Write a kubeconfig of its own for this credential, with the authority's certificate inlined.
pub(super) fn write(server: &ApiServer, credential: &str) -> PathBuf {
    let authority = base64(&std::fs::read(server.authority().certificate()).unwrap());
    let text = format!(
        "apiVersion: v1
kind: Config
clusters:
- name: test
  cluster:
    server: {}
    certificate-authority-data: {authority}
users:
- name: test
  user:
    {credential}
contexts:
- name: test
  context:
    cluster: test
    user: test
current-context: test
",
        server.url()
    );
    let path = server.directory().join(format!("kubeconfig-{}", uuid()));
    std::fs::write(&path, text).unwrap();
    path
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, nth| bits << 8 | usize::from(*group.get(nth).unwrap_or(&0)));
        for nth in 0..4 {
            let digit = ALPHABET[bits >> (18 - 6 * nth) & 63];
            text.push(if nth <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_pads() {
        let encoded = ["", "f", "fo", "foo", "foob"].map(|text| base64(text.as_bytes()));
        assert_eq!(encoded, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg=="]);
    }
}
