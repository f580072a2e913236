//! `kube-ipam policy keygen` and `sign`: an author vouches for a module, so that nodes can tell it from another's. Signatures
//! are ECDSA P-256 with SHA-256, as cosign and openssl make and verify them.

use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clap::Args;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;

use cni::Fail;
use engine::install;
use files::read_regular;
use kube_ipam::cli::output::{Done, Output};
use kube_ipam::cli::policy::trust::P256;
use kube_ipam::verbs;
use limits::SIGNATURE_BYTES;

#[derive(Args, Debug)]
pub(crate) struct KeygenOptions {
    /// Name of the two files: NAME.key, which only its owner may read, and NAME.pub for those who trust it
    #[arg(value_name = "NAME")]
    name: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct SignOptions {
    /// The module; its signature is written beside it, as FILE.wasm.NAME.sig
    #[arg(value_name = "FILE.wasm")]
    file: PathBuf,
    /// The private key, made by `keygen`: PKCS #8 in PEM, without a password
    #[arg(long, value_name = "NAME.key")]
    key: PathBuf,
}

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
enum SignError {
    #[error("cannot read {}", .0.display())]
    Unreadable(PathBuf, #[source] io::Error),
    #[error("cannot write {}", .0.display())]
    Unwritable(PathBuf, #[source] io::Error),
    #[error("{} is not a private key for ECDSA P-256 in PEM (PKCS #8), or it is locked with a password", .0.display())]
    NotAKey(PathBuf),
    #[error("this machine gives no random numbers")]
    NoRandomness,
}

impl Fail for SignError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unreadable(..) => "name files that exist and that this user may read".to_owned(),
            Self::Unwritable(_, error) if error.kind() == io::ErrorKind::AlreadyExists => {
                "a key is never replaced: choose another name".to_owned()
            }
            Self::Unwritable(..) => "name a directory that exists and that this user may write to".to_owned(),
            Self::NotAKey(_) => {
                "`kube-ipam policy keygen NAME` makes one; what is locked by cosign or minisign is signed \
                 with by `cosign sign-blob` and `minisign -S`"
                    .to_owned()
            }
            Self::NoRandomness => "try again when the machine has started".to_owned(),
        })
    }
}

pub(crate) fn keygen(options: &KeygenOptions) -> Done {
    let random = SystemRandom::new();
    let private =
        EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).map_err(|_| SignError::NoRandomness)?;
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, private.as_ref(), &random)
        .map_err(|_| SignError::NoRandomness)?;
    let public = [&P256[..], pair.public_key().as_ref()].concat();
    let (key, trusted) = (with_ending(&options.name, "key"), with_ending(&options.name, "pub"));
    // Both or neither: a private key whose other half is another's would serve nobody.
    if let Some(taken) = [&key, &trusted].into_iter().find(|file| file.symlink_metadata().is_ok()) {
        return Err(SignError::Unwritable(taken.clone(), io::ErrorKind::AlreadyExists.into()).into());
    }
    write_new(&key, 0o600, &pem("PRIVATE KEY", private.as_ref()))?;
    write_new(&trusted, 0o644, &pem("PUBLIC KEY", &public))?;
    let (key, trusted) = (key.display(), trusted.display());
    Ok(Output::text(format!(
        "{key}: keep it to yourself\n{trusted}: give it to those who trust you (policy.trust.keys)"
    )))
}

pub(crate) fn sign(options: &SignOptions) -> Done {
    let SignOptions { file, key } = options;
    let pair = read_key(key)?;
    // What is signed is the module, also where its file is packed.
    let wasm = install::read(file).map_err(verbs::Error::from)?;
    let module = file.with_file_name(install::name_of(file).unwrap_or_default());
    let made = pair.sign(&SystemRandom::new(), &wasm).map_err(|_| SignError::NoRandomness)?;
    let signer = key.file_stem().unwrap_or_default().to_string_lossy();
    let signature = with_ending(&module, &format!("{signer}.sig"));
    fs::write(&signature, BASE64_STANDARD.encode(made))
        .map_err(|source| SignError::Unwritable(signature.clone(), source))?;
    Ok(Output::text(format!("{}: {signer} vouches for {}", signature.display(), file.display())))
}

fn read_key(path: &Path) -> Result<EcdsaKeyPair, SignError> {
    let bytes = read_regular(path, SIGNATURE_BYTES).map_err(|source| SignError::Unreadable(path.to_owned(), source))?;
    let not_a_key = || SignError::NotAKey(path.to_owned());
    let der = PrivatePkcs8KeyDer::from_pem_slice(&bytes).map_err(|_| not_a_key())?;
    let random = SystemRandom::new();
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der.secret_pkcs8_der(), &random).map_err(|_| not_a_key())
}

/// The path with a further ending: what it ended in stays.
fn with_ending(path: &Path, ending: &str) -> PathBuf {
    path.with_added_extension(ending)
}

/// A file that did not exist: a key that is overwritten is lost.
fn write_new(path: &Path, mode: u32, text: &str) -> Result<(), SignError> {
    let opened = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let written = opened.and_then(|mut file| io::Write::write_all(&mut file, text.as_bytes()));
    written.map_err(|source| SignError::Unwritable(path.to_owned(), source))
}

/// RFC 7468: lines of 64 characters.
fn pem(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    let encoded = BASE64_STANDARD.encode(der);
    for line in encoded.as_bytes().chunks(64) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text + &format!("-----END {label}-----\n")
}
