//! `kube-ipam-policy`: the program of policy authors.

#[global_allocator]
static MEMORY: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() {
    let exit = workbench::commands::run();
    #[allow(clippy::exit, reason = "the one place: nothing that is left in memory is worth the time to drop it")]
    std::process::exit(exit.into());
}
