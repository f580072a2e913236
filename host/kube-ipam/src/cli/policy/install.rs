//! `kube-ipam policy install`: gets a module ready before a network names it. It is examined and compiled first and put in
//! its place last, so that an ADD finds either version whole and never waits for a compiler.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::DirBuilder;
use std::io::Cursor;
use std::num::NonZeroUsize;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::site::{DIRECTORY, Site, default_cache};
use super::trust::{Signature, Trust, TrustError, signatures_of};
use crate::cli::install_node::{Directory, InstallError};
use crate::cli::network::NetworkArgs;
use crate::cli::output::{CommandError, Done, Format, Output, OutputArgs};
use crate::verbs;
use engine::install::{self, Ready};
use engine::{Compiler, Source};
use limits::Limits;

#[derive(Args, Debug)]
pub(crate) struct PolicyInstallOptions {
    /// The module to install, FILE.wasm or packed with gzip
    #[arg(value_name = "FILE.wasm[.gz]")]
    file: PathBuf,
    /// Keep the compiled module in this directory [default: the cache used by networks that set neither dataDir nor cacheDir]
    #[arg(long, value_name = "DIR", conflicts_with_all = ["conf", "names", "all"])]
    cache_dir: Option<PathBuf>,
    /// The digest the file must have, 64 hexadecimal digits
    #[arg(long, value_name = "DIGEST")]
    sha256: Option<String>,
    /// A public key that must have signed the module, beside those that the networks trust (policy.trust); may be given more
    /// than once: any of them will do
    #[arg(long, value_name = "FILE.pub")]
    trusted_key: Vec<PathBuf>,
    /// Directory to install the module in
    #[arg(long, value_name = "DIR", default_value = DIRECTORY)]
    to: PathBuf,
    /// The networks that will use it: the module must understand their settings, and is compiled into their caches. Without
    /// one of these options it is made ready for any network
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// The result of an installation.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Installed {
    module: PathBuf,
    sha256: String,
    name: String,
    version: String,
    summary: String,
    /// The keys that have signed it. Absent where nobody had to.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    signers: BTreeSet<String>,
    /// False where the very same file was there already.
    placed: bool,
    cache_dir: PathBuf,
    /// Why the compiled module could not be kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_kept: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// A module that was examined and compiled for a network, or for none, and is not in its place yet.
struct Prepared {
    ready: Ready,
    signers: BTreeSet<String>,
    cache_dir: PathBuf,
    note: Option<String>,
}

pub(crate) fn install(options: &PolicyInstallOptions) -> Done {
    let name =
        install::name_of(&options.file).ok_or_else(|| InstallError::NoFileName { path: options.file.clone() })?;
    let module = std::path::absolute(options.to.join(name))?;
    let sites = sites(&options.network)?;
    // Read once: whoever replaces the file meanwhile, what is judged, compiled and put in its place is the same.
    let wasm = install::read(&options.file).map_err(verbs::Error::from)?;
    let signatures = signatures(options, &sites)?;
    // For all networks before it is put in its place for any: one of them may refuse it.
    let mut all_prepared = Vec::new();
    for site in &sites {
        all_prepared.push(prepare(options, &module, &wasm, &signatures, site.as_ref())?);
    }
    // Before the module: were they put there after it, a module without them would be left behind by an end between the two.
    for signature in &signatures {
        let name = signature.file.file_name().unwrap_or_default();
        place(&options.to, name, &signature.content)?;
    }
    let mut installed = Vec::new();
    for Prepared { ready, signers, cache_dir, note } in all_prepared {
        let placed = place(&options.to, name, &ready.wasm)?;
        let description = ready.description;
        installed.push(Installed {
            module: module.clone(),
            sha256: ready.name.sha256,
            name: description.name,
            version: description.version,
            summary: description.summary,
            signers,
            placed,
            cache_dir,
            not_kept: ready.kept.err(),
            note,
        });
    }
    match options.output.output {
        Format::Json if installed.len() > 1 || options.network.asks_for_several() => Output::json(&installed),
        Format::Json => Output::json(&installed[0]),
        Format::Table => Ok(Output::text(installed.iter().map(tell).collect::<Vec<_>>().join("\n"))),
    }
}

/// The networks that a module is installed for; a single `None` where it is for none in particular.
fn sites(network: &NetworkArgs) -> Result<Vec<Option<Site>>, CommandError> {
    if !network.is_given() {
        return Ok(vec![None]);
    }
    let found = network.find()?;
    network.refuse_several(&found)?;
    let mut sites = Vec::new();
    for network in &found {
        sites.push(Some(Site::of(network)?));
    }
    Ok(sites)
}

fn prepare(
    options: &PolicyInstallOptions,
    module: &Path,
    wasm: &[u8],
    signatures: &[Signature],
    site: Option<&Site>,
) -> Result<Prepared, CommandError> {
    let cache_dir = cache_dir(options, site);
    let source = Source {
        module: Some(&options.file),
        sha256: options.sha256.as_deref(),
        cache_dir: Some(&cache_dir),
        limits: site.map_or_else(Limits::default, |site| site.policy.limits),
        compiler: Compiler::Child,
        deadline: None,
    };
    let settings = site.map(|site| site.policy.settings.as_str());
    // Whose module it is comes before everything else that is done with it: a compiler is a large target.
    let signers = signers(options, wasm, signatures, site)?;
    let ready = install::prepare_bytes(&options.file, wasm.to_vec(), &source, settings).map_err(verbs::Error::from)?;
    let note = match site {
        Some(site) => note(site, module, &ready)?,
        None => None,
    };
    Ok(Prepared { ready, signers, cache_dir, note })
}

/// The signatures beside the file. One that cannot be read is an error only where somebody has to have signed.
fn signatures(options: &PolicyInstallOptions, sites: &[Option<Site>]) -> Result<Vec<Signature>, TrustError> {
    let is_asked = sites.iter().flatten().any(|site| site.policy.trust.is_some()) || !options.trusted_key.is_empty();
    match signatures_of(&options.file) {
        Err(_) if !is_asked => Ok(Vec::new()),
        found => found,
    }
}

/// Who has signed the module, of those that a network and the command trust. Nobody has to where neither says so.
fn signers(
    options: &PolicyInstallOptions,
    wasm: &[u8],
    signatures: &[Signature],
    site: Option<&Site>,
) -> Result<BTreeSet<String>, TrustError> {
    let mut signers = BTreeSet::new();
    if !options.trusted_key.is_empty() {
        signers.extend(Trust::in_files(&options.trusted_key, NonZeroUsize::MIN)?.judge(
            &options.file,
            wasm,
            signatures,
        )?);
    }
    if let Some(trust) = site.and_then(|site| site.policy.trust.as_ref()) {
        signers.extend(Trust::of(trust)?.judge(&options.file, wasm, signatures)?);
    }
    Ok(signers)
}

fn cache_dir(options: &PolicyInstallOptions, site: Option<&Site>) -> PathBuf {
    match (&options.cache_dir, site) {
        (Some(given), _) => given.clone(),
        (None, Some(site)) => site.policy.cache_dir.clone(),
        (None, None) => default_cache(),
    }
}

/// What the network's operator has to do next, if anything. A pinned module is not replaced under its network: every ADD
/// would fail until the pin is changed, too.
fn note(site: &Site, module: &Path, ready: &Ready) -> Result<Option<String>, InstallError> {
    let (network, found) = (&site.network, &ready.name.sha256);
    let other_pin = site.policy.sha256.as_ref().filter(|pinned| *pinned != found);
    match (other_pin, site.uses(module)) {
        (None, true) => Ok(None),
        (None, false) => Ok(Some(format!("network {network:?} uses another module: change policy.module"))),
        (Some(pinned), false) => Ok(Some(format!(
            "network {network:?} pins another digest, {pinned}: change policy.module and policy.sha256"
        ))),
        (Some(pinned), true) => Err(InstallError::Pinned {
            network: network.clone(),
            path: module.to_owned(),
            pinned: pinned.clone(),
            found: found.clone(),
        }),
    }
}

fn place(to: &Path, name: &OsStr, content: &[u8]) -> Result<bool, InstallError> {
    let option = "--to";
    let made = DirBuilder::new().recursive(true).mode(0o755).create(to);
    made.map_err(|source| InstallError::NoDirectory { path: to.to_owned(), option, source })?;
    Directory::open(to, option)?.put(name, 0o644, &mut Cursor::new(content))
}

fn tell(installed: &Installed) -> String {
    let Installed { module, sha256, name, version, summary, signers, placed, cache_dir, not_kept, note } = installed;
    let verb = if *placed { "installed" } else { "unchanged" };
    let mut lines = vec![format!("{verb} {}: {name} {version}, {summary}", module.display())];
    lines.push(match not_kept {
        None => format!("compiled into {}", cache_dir.display()),
        Some(why) => format!("not compiled into {}, so every ADD will compile it: {why}", cache_dir.display()),
    });
    if !signers.is_empty() {
        lines.push(format!("signed by {}", signers.iter().map(String::as_str).collect::<Vec<_>>().join(", ")));
    }
    if let Some(note) = note {
        lines.push(format!("note: {note}"));
    }
    lines.push(format!("\"sha256\": \"{sha256}\""));
    lines.join("\n")
}
