//! Container runtimes as distributions ship them, on machines of their own. Skipped, with a word, where they are not
//! installed or namespaces cannot be created.

mod containerd;
mod cri;
mod ctr;
mod networks;
mod podman;
mod pods;
