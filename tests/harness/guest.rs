//! The guests of `tests/hostile`: small WebAssembly texts that say in their first lines what shall come of them.

use std::fs;
use std::path::{Path, PathBuf};

use wit_component::{StringEncoding, embed_component_metadata};

/// One guest, and what its comment asks for.
#[derive(Debug)]
pub struct Guest {
    /// Its file's name.
    pub name: String,
    text: String,
}

/// Where the guests are.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("hostile")
}

impl Guest {
    /// Every guest of the folder, in the order of their names.
    pub fn all() -> Vec<Self> {
        let mut names = Vec::new();
        for file in fs::read_dir(folder()).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            if path.extension().is_some_and(|end| end == "wat") && name != "prelude" {
                names.push(name);
            }
        }
        names.sort();
        names.iter().map(|name| Self::named(name)).collect()
    }

    /// The guest of this name.
    pub fn named(name: &str) -> Self {
        let text = fs::read_to_string(folder().join(name).with_extension("wat")).unwrap();
        Self { name: name.to_owned(), text }
    }

    /// A guest of this text, which is in no file.
    pub fn of(name: &str, text: &str) -> Self {
        Self { name: name.to_owned(), text: text.to_owned() }
    }

    /// The guest of this name with more text behind it.
    pub fn with(name: &str, more: &str) -> Self {
        let guest = Self::named(name);
        Self { text: format!("{}\n{more}", guest.text), ..guest }
    }

    /// The value of a `;; key: value` line.
    pub fn says(&self, key: &str) -> Option<&str> {
        let lines = self.text.lines().filter_map(|line| line.strip_prefix(";; ")?.split_once(": "));
        lines.filter(|(found, _)| *found == key).map(|(_, value)| value).next()
    }

    /// The module as a policy author would ship it.
    pub fn module(&self) -> Vec<u8> {
        if self.text.contains("\n(component") {
            return wat::parse_str(&self.text).unwrap();
        }
        let core = self.core(VERSION);
        if self.text.contains(";; core") {
            return core;
        }
        component(core, VERSION, self.says("world").unwrap_or(WORLD)).unwrap()
    }

    fn core(&self, version: &str) -> Vec<u8> {
        let prelude = fs::read_to_string(folder().join("prelude.wat")).unwrap();
        let missing: Vec<&str> = prelude
            .split("\n;;;")
            .skip(1)
            .filter_map(|piece| piece.split_once('\n'))
            .filter(|(mark, _)| mark.is_empty() || !self.text.contains(mark.trim()))
            .map(|(_, piece)| piece)
            .collect();
        let text = format!("(module {}\n{})", self.text, missing.join("\n"));
        let text = text
            .replace("allocator#", &format!("kube-ipam:policy/allocator@{version}#"))
            .replace("(import \"pool\"", &format!("(import \"kube-ipam:policy/pool@{version}\""))
            .replace("(import \"log\"", &format!("(import \"kube-ipam:policy/log@{version}\""));
        wat::parse_str(&text).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }
}

/// The version of the world that guests are made for.
pub const VERSION: &str = "0.1.0";
/// Its name.
pub const WORLD: &str = "allocation-policy";

/// A policy that speaks a version of the future, too.
const BOTH: [(&str, &str); 2] = [
    ("future.wit", "package kube-ipam:policy@0.9.0; interface allocator { describe: func() -> u32; }"),
    (
        "both.wit",
        "package test:both; world both { include kube-ipam:policy/allocation-policy@0.1.0; \
         export kube-ipam:policy/allocator@0.9.0; }",
    ),
];

/// A guest as if the world were of another version, and otherwise the same.
pub fn component_of(guest: &Guest, version: &str) -> Vec<u8> {
    component(guest.core(version), version, WORLD).unwrap()
}

/// A core module made a component of a version of our world, or of a world that has ours in it.
pub fn component(mut core: Vec<u8>, version: &str, world: &str) -> Option<Vec<u8>> {
    let mut resolve = wit_parser::Resolve::default();
    let ours =
        include_str!("../../wit/policy.wit").replace(&format!("policy@{VERSION};"), &format!("policy@{version};"));
    let mut package = resolve.push_str("policy.wit", &ours).unwrap();
    if world != WORLD {
        for (name, text) in BOTH {
            package = resolve.push_str(name, text).unwrap();
        }
    }
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    embed_component_metadata(&mut core, &resolve, world, StringEncoding::UTF8, false).unwrap();
    let mut encoder = wit_component::ComponentEncoder::default();
    // Not validated: what a guest is made of is the host's problem to find out.
    encoder.module(&core).ok()?.encode().ok()
}
