//! A module made ready for a node before a network uses it: whatever the first ADD would find out, or wait for, happens
//! now. `kube-ipam policy install` puts the very bytes that were examined in their place.

use std::ffi::OsStr;
use std::io::Read;
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::convert::Description;
use super::{Flaw, Policy, PolicyError, Source, module};
use ipam::PolicyName;
use limits::MODULE;

/// A module that every ADD on this node could use.
#[derive(Debug)]
pub struct Ready {
    /// The file as it was examined.
    pub wasm: Vec<u8>,
    /// Its digest, and the name recorded with addresses.
    pub name: PolicyName,
    /// What it says of itself.
    pub description: Description,
    /// Whether its compiled form is where the plugin looks for it, or why it could not be kept.
    pub kept: Result<(), String>,
}

/// The name that a file is installed under: a packed one loses its `.gz`.
pub fn name_of(file: &Path) -> Option<&OsStr> {
    if is_packed(file) { file.file_stem() } else { file.file_name() }
}

fn is_packed(file: &Path) -> bool {
    file.extension() == Some(OsStr::new("gz"))
}

/// The module of a file that is to be installed, unpacked where it is packed with gzip.
pub fn read(file: &Path) -> Result<Vec<u8>, PolicyError> {
    let bytes = module::read(file).map_err(|flaw| flawed(file, flaw))?;
    if is_packed(file) { unpack(&bytes).map_err(|flaw| flawed(file, flaw)) } else { Ok(bytes) }
}

fn unpack(packed: &[u8]) -> Result<Vec<u8>, Flaw> {
    // A file of some kilobytes may unpack to terabytes: whoever unpacks it stops behind the largest module there may be.
    let most = MODULE.default << 20;
    let mut wasm = Vec::new();
    let unpacked = MultiGzDecoder::new(packed).take(most + 1).read_to_end(&mut wasm);
    unpacked.map_err(|error| Flaw::NotUnpacked(error.to_string()))?;
    if wasm.len() as u64 > most { Err(Flaw::UnpacksTooLarge(MODULE.default)) } else { Ok(wasm) }
}

/// The digest of a module and whether its compiled form is in this cache, so that a compiler has nothing to do.
pub fn look_up(wasm: &[u8], cache_dir: &Path) -> (String, bool) {
    let sha256 = module::digest(wasm);
    let is_compiled = module::is_cached(cache_dir, &sha256);
    (sha256, is_compiled)
}

/// Examine a module, compile it into the cache of `source`, and ask it who it is and, where settings are given, whether
/// it understands them. Refused is what an ADD would refuse.
pub fn prepare(file: &Path, source: &Source<'_>, settings: Option<&str>) -> Result<Ready, PolicyError> {
    prepare_bytes(file, read(file)?, source, settings)
}

/// The same of a module that was read from this file.
pub fn prepare_bytes(
    file: &Path,
    wasm: Vec<u8>,
    source: &Source<'_>,
    settings: Option<&str>,
) -> Result<Ready, PolicyError> {
    // Of the bytes and not of the file again: what is put in its place is what was examined, whoever replaces the file
    // meanwhile.
    let loaded = module::load_bytes(file, &wasm, source).map_err(|flaws| flawed(file, module::first(flaws)))?;
    let policy = Policy::of(loaded, source.limits);
    let description = policy.describe()?;
    if let Some(settings) = settings {
        policy.validate_settings(settings)?;
    }
    let name = policy.name().clone();
    let kept = source.cache_dir.map_or(Ok(()), |dir| module::check_cached(dir, &name.sha256));
    Ok(Ready { wasm, name, description, kept: kept.map_err(|miss| miss.to_string()) })
}

/// Whether an ADD could use a module with these settings. Keeps nothing: what is not in the cache is compiled for this
/// look alone.
pub fn check(file: &Path, source: &Source<'_>, settings: &str) -> Result<(), PolicyError> {
    let wasm = module::read(file).map_err(|flaw| flawed(file, flaw))?;
    let sha256 = module::digest(&wasm);
    let cache_dir = source.cache_dir.filter(|dir| module::check_cached(dir, &sha256).is_ok());
    let source = Source { cache_dir, ..source.clone() };
    prepare(file, &source, Some(settings)).map(drop)
}

fn flawed(file: &Path, flaw: Flaw) -> PolicyError {
    PolicyError::Flawed { module: file.display().to_string(), flaw }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn what_was_packed_is_unpacked_up_to_the_largest_module() {
        let module = vec![7; 100_000];
        assert_eq!(unpack(&packed(&module)).unwrap(), module);
        assert_eq!(unpack(&[packed(b"in two"), packed(b" parts")].concat()).unwrap(), b"in two parts");
        let bomb = packed(&vec![0; (MODULE.default << 20) as usize + 1]);
        assert!(bomb.len() < 1 << 20, "{} bytes", bomb.len());
        assert_eq!(unpack(&bomb), Err(Flaw::UnpacksTooLarge(64)));
        let whole = packed(&module);
        for damaged in [&whole[..whole.len() - 1], b"no gzip".as_slice(), &[]] {
            assert!(matches!(unpack(damaged), Err(Flaw::NotUnpacked(_))), "{damaged:?}");
        }
    }

    #[test]
    fn a_packed_file_is_installed_under_the_name_of_its_module() {
        let name = |file: &str| name_of(Path::new(file)).unwrap().to_str().unwrap().to_owned();
        assert_eq!((name("/a/site.wasm.gz"), name("/a/site.wasm")), ("site.wasm".to_owned(), "site.wasm".to_owned()));
    }
}
