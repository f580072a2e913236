//! A container image made by hand: one layer with busybox, in the format of `docker save`, which every runtime imports.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use sha2::{Digest, Sha256};

/// Its name, the same in every runtime.
pub const NAME: &str = "localhost/kube-ipam-test:1";

/// Started without a command, a container of it serves its files: that makes it a pod's first container, too.
const COMMAND: [&str; 7] = ["/bin/busybox", "httpd", "-f", "-p", "80", "-h", "/"];

/// Write it to this directory; its path.
pub fn write(directory: &Path) -> PathBuf {
    let stage = directory.join("image");
    root(&stage.join("root"));
    pack(&stage.join("root"), &stage.join("layer.tar"), &["."]);
    let layer = format!("sha256:{:x}", Sha256::digest(fs::read(stage.join("layer.tar")).unwrap()));

    let configuration = json!({
        "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
        "os": "linux",
        "config": {"Cmd": COMMAND, "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [layer]},
    });
    let name = format!("{:x}.json", Sha256::digest(configuration.to_string()));
    fs::write(stage.join(&name), configuration.to_string()).unwrap();
    let manifest = json!([{"Config": name, "RepoTags": [NAME], "Layers": ["layer.tar"]}]);
    fs::write(stage.join("manifest.json"), manifest.to_string()).unwrap();

    let image = directory.join("image.tar");
    pack(&stage, &image, &["manifest.json", &name, "layer.tar"]);
    image
}

fn root(root: &Path) {
    for folder in ["bin", "dev", "etc", "proc", "sys", "tmp"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].iter().find(|path| Path::new(path).exists()).unwrap();
    fs::copy(busybox, root.join("bin/busybox")).unwrap();
    fs::write(root.join("etc/page"), "a page of the pod\n").unwrap();
    for applet in ["sh", "ip", "cat"] {
        symlink("busybox", root.join("bin").join(applet)).unwrap();
    }
}

fn pack(folder: &Path, archive: &Path, files: &[&str]) {
    let packed = Command::new("tar")
        .args(["--create", "--owner=0", "--group=0", "--file"])
        .arg(archive)
        .arg("--directory")
        .arg(folder)
        .args(files)
        .status()
        .unwrap();
    assert!(packed.success());
}
