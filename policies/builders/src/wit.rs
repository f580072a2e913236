//! The world that a project is written against: the one in its `wit/`, or else that of this version.

use std::path::{Path, PathBuf};

use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use super::{GuestError, tool};

/// The text of this version's world.
pub(super) const POLICY_WIT: &str = include_str!("../../../wit/policy.wit");
pub(super) const WORLD: &str = "allocation-policy";

/// The directory of the project's world. The tools want one, so that ours is written beside what is built where the
/// project has none.
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

/// Write the component type into a core module, which a C compiler leaves out because it knows nothing of components.
pub(super) fn embed(core: &mut Vec<u8>, folder: &Path) -> Result<(), GuestError> {
    let mut resolve = Resolve::default();
    let selected = match resolve.push_dir(folder) {
        Ok((package, _)) => resolve.select_world(&[package], Some(WORLD)),
        Err(error) => Err(error),
    };
    let world = selected
        .map_err(|error| GuestError::World { path: folder.display().to_string(), why: format!("{error:#}") })?;
    embed_component_metadata(core, &resolve, world, StringEncoding::UTF8, false)
        .map_err(|error| GuestError::Encode(format!("{error:#}")))
}
