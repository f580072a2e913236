//! Who vouches for a module: signatures in files beside it, made with keys that the site trusts.
//!
//! ```text
//! site.wasm                 what is signed, unpacked
//! site.wasm.alice.sig       ECDSA P-256 with SHA-256, DER in Base64: `policy sign`, cosign sign-blob, openssl
//! site.wasm.bob.minisig     minisign
//! ```
//!
//! What is between the module's name and the ending is for people: a signature counts for the key that made it, whatever its
//! file is called, and a key counts once. Signatures are looked at when a module is installed, and by `doctor`, never by an
//! ADD: a network that pins the digest of a module pins what was vouched for.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject;

use crate::config::TrustConfig;
use cni::Fail;
use engine::install;
use files::read_regular;
use limits::SIGNATURE_BYTES;

/// How the DER of every public key on the curve P-256 begins (RFC 5480, section 2); its point follows.
pub const P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// The endings of signatures.
const ENDINGS: [&str; 2] = ["sig", "minisig"];

/// Whoever is trusted, and how many of them have to have signed.
pub(crate) struct Trust {
    keys: Vec<TrustedKey>,
    threshold: NonZeroUsize,
}

struct TrustedKey {
    /// The file's name without its ending: whoever signs is told apart by it.
    name: String,
    key: PublicKey,
}

enum PublicKey {
    Minisign(minisign_verify::PublicKey),
    /// The point, uncompressed.
    P256(Vec<u8>),
}

/// A signature as it lies beside a module.
pub(crate) struct Signature {
    pub(crate) file: PathBuf,
    pub(crate) content: Vec<u8>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum TrustError {
    #[error("cannot read {}", .path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{} is not a public key of minisign, nor an ECDSA P-256 key in PEM", .path.display())]
    NotAKey { path: PathBuf },
    #[error("there is no key in {}", .path.display())]
    NoKeys { path: PathBuf },
    #[error("{threshold} keys must have signed, and only {keys} are trusted")]
    TooFewKeys { threshold: usize, keys: usize },
    #[error("nobody has signed {}: there is no signature beside it", .module.display())]
    Unsigned { module: PathBuf },
    #[error("{} has {signers} of {threshold} trusted signatures{refused}", .module.display())]
    Untrusted { module: PathBuf, signers: usize, threshold: usize, refused: String },
}

impl Fail for TrustError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unreadable { .. } => "name files that exist and that this user may read".to_owned(),
            Self::NotAKey { .. } => {
                "`kube-ipam policy keygen NAME`, `cosign generate-key-pair` and `minisign -G` make such keys".to_owned()
            }
            Self::NoKeys { .. } => "put the public keys there, as NAME.pub".to_owned(),
            Self::TooFewKeys { .. } => "lower the threshold, or trust more keys".to_owned(),
            Self::Unsigned { module } | Self::Untrusted { module, .. } => {
                let module = module.display();
                format!(
                    "do not install it until its author confirms it; `kube-ipam policy sign {module} --key NAME.key` signs it"
                )
            }
        })
    }
}

impl Trust {
    /// Those that a network trusts.
    pub(crate) fn of(config: &TrustConfig) -> Result<Self, TrustError> {
        Self::in_files(&config.keys, config.threshold)
    }

    /// Who has signed a module that lies on this node, of those that its network trusts.
    pub(crate) fn judge_installed(
        config: &TrustConfig,
        module: &Path,
        wasm: &[u8],
    ) -> Result<BTreeSet<String>, TrustError> {
        Self::of(config)?.judge(module, wasm, &signatures_of(module)?)
    }

    /// Those in a directory: each file `NAME.pub`.
    pub(crate) fn in_directory(directory: &Path, threshold: NonZeroUsize) -> Result<Self, TrustError> {
        let mut keys = list(directory)?;
        keys.retain(|file| file.extension() == Some(OsStr::new("pub")));
        if keys.is_empty() {
            return Err(TrustError::NoKeys { path: directory.to_owned() });
        }
        Self::in_files(&keys, threshold)
    }

    pub(crate) fn in_files(files: &[PathBuf], threshold: NonZeroUsize) -> Result<Self, TrustError> {
        let mut keys = Vec::new();
        for file in files {
            let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            keys.push(TrustedKey { name, key: PublicKey::read(file)? });
        }
        if keys.len() < threshold.get() {
            return Err(TrustError::TooFewKeys { threshold: threshold.get(), keys: keys.len() });
        }
        Ok(Self { keys, threshold })
    }

    /// The names of the keys that have signed a module; an error where they are too few. `file` is where the module came
    /// from, beside which the signatures are.
    pub(crate) fn judge(
        &self,
        file: &Path,
        wasm: &[u8],
        signatures: &[Signature],
    ) -> Result<BTreeSet<String>, TrustError> {
        if signatures.is_empty() {
            return Err(TrustError::Unsigned { module: file.to_owned() });
        }
        // By their place: keys of different people may be in files of one name.
        let mut signers = BTreeSet::new();
        let mut refused = String::new();
        for signature in signatures {
            match self.keys.iter().position(|trusted| trusted.key.has_signed(wasm, &signature.content)) {
                Some(signer) => {
                    signers.insert(signer);
                }
                None => refused.push_str(&format!(
                    "; {} was not made with a trusted key, or is for another module",
                    signature.file.display()
                )),
            }
        }
        if signers.len() >= self.threshold.get() {
            return Ok(signers.into_iter().map(|signer| self.keys[signer].name.clone()).collect());
        }
        let (signers, threshold) = (signers.len(), self.threshold.get());
        Err(TrustError::Untrusted { module: file.to_owned(), signers, threshold, refused })
    }
}

impl PublicKey {
    fn read(path: &Path) -> Result<Self, TrustError> {
        let bytes = read(path)?;
        let not_a_key = || TrustError::NotAKey { path: path.to_owned() };
        if let Ok(der) = SubjectPublicKeyInfoDer::from_pem_slice(&bytes) {
            let point = der.strip_prefix(&P256).ok_or_else(not_a_key)?;
            return Ok(Self::P256(point.to_vec()));
        }
        let text = str::from_utf8(&bytes).map_err(|_| not_a_key())?;
        minisign_verify::PublicKey::decode(text.trim()).map(Self::Minisign).map_err(|_| not_a_key())
    }

    fn has_signed(&self, wasm: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Minisign(key) => {
                let text = str::from_utf8(signature).unwrap_or_default();
                // Only signatures of a digest: the older kind is not made any more.
                minisign_verify::Signature::decode(text).is_ok_and(|made| key.verify(wasm, &made, false).is_ok())
            }
            Self::P256(point) => {
                let der = BASE64_STANDARD.decode(signature.trim_ascii()).unwrap_or_default();
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(wasm, &der).is_ok()
            }
        }
    }
}

/// The signatures beside the file of a module, which may be packed.
pub(crate) fn signatures_of(file: &Path) -> Result<Vec<Signature>, TrustError> {
    let mut begin: OsString = install::name_of(file).unwrap_or_default().to_owned();
    begin.push(".");
    let mut signatures = Vec::new();
    for file in list(file.parent().unwrap_or(Path::new(".")))? {
        let name = file.file_name().unwrap_or_default();
        if name.as_encoded_bytes().starts_with(begin.as_encoded_bytes()) && is_signature(&file) {
            let content = read(&file)?;
            signatures.push(Signature { file, content });
        }
    }
    Ok(signatures)
}

fn is_signature(file: &Path) -> bool {
    file.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known))
}

fn list(directory: &Path) -> Result<Vec<PathBuf>, TrustError> {
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let entries =
        fs::read_dir(directory).map_err(|source| TrustError::Unreadable { path: directory.to_owned(), source })?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> Result<Vec<u8>, TrustError> {
    read_regular(path, SIGNATURE_BYTES).map_err(|source| TrustError::Unreadable { path: path.to_owned(), source })
}
