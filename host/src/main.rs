//! The `kube-ipam` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_at_checked(kube_ipam::policy::compile::COMMAND.len()) {
        Some((command, limits)) if command == kube_ipam::policy::compile::COMMAND => {
            kube_ipam::policy::compile::child(limits, std::io::stdin(), std::io::stdout()).into()
        }
        _ => ExitCode::FAILURE,
    }
}
