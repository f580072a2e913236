//! `kube-ipam`: a CNI plugin when a runtime calls it (`CNI_COMMAND` is set), a command line otherwise.

use kube_ipam::arena::Arena;

#[global_allocator]
static MEMORY: Arena = Arena::new();

fn main() {
    let exit = match std::env::var_os("CNI_COMMAND") {
        Some(verb) => {
            // VERSION touches next to no memory, so that mapping it in advance would cost more than it saves.
            if verb != "VERSION" {
                MEMORY.warm_up();
            }
            kube_ipam::plugin::run()
        }
        None => kube_ipam::cli::run(),
    };
    #[allow(clippy::exit, reason = "the one place: nothing in memory is worth the time to drop it")]
    std::process::exit(exit.into());
}
