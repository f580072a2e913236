//! The world a project is written against: the one in its `wit/`, or else that of this version.

use std::path::{Path, PathBuf};

use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use super::{GuestError, tool};

/// The world of this version.
pub(super) const POLICY_WIT: &str = include_str!("../../../wit/policy.wit");
/// Its name.
pub(super) const WORLD: &str = "allocation-policy";

/// Where the project's world lies; without one of its own, ours is put beside what is built.
pub(super) fn folder(directory: &Path) -> Result<PathBuf, GuestError> {
    let own = directory.join("wit");
    if own.is_dir() {
        return Ok(own);
    }
    let ours = tool::target(directory)?.join("wit");
    std::fs::create_dir_all(&ours).map_err(GuestError::file(&ours))?;
    tool::write(&ours.join("policy.wit"), POLICY_WIT)?;
    Ok(ours)
}

/// Tell a core module's component type, which compilers of C do not know of.
pub(super) fn embed(core: &mut Vec<u8>, folder: &Path) -> Result<(), GuestError> {
    let wrong = |why: String| GuestError::World { path: folder.display().to_string(), why };
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(folder).map_err(|error| wrong(format!("{error:#}")))?;
    let world = resolve.select_world(&[package], Some(WORLD)).map_err(|error| wrong(format!("{error:#}")))?;
    embed_component_metadata(core, &resolve, world, StringEncoding::UTF8, false)
        .map_err(|error| GuestError::Encode(format!("{error:#}")))
}
