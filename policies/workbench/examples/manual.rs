//! `manual MAN COMPLETIONS`: manual pages, one for each command, and completions of both programs, made from the very
//! definitions that parse the command line. They come with the packages; the node's program carries neither.
#![allow(clippy::unwrap_used, reason = "a step of the build, with nobody to return an error to")]

use clap_complete::{Shell, generate_to};

fn main() {
    let directories: Vec<_> = std::env::args_os().skip(1).collect();
    let [man, completions] = directories.try_into().expect("usage: manual MAN COMPLETIONS");
    std::fs::create_dir_all(&man).unwrap();
    std::fs::create_dir_all(&completions).unwrap();
    for mut program in [kube_ipam::cli::command(), workbench::commands::command()] {
        let name = program.get_name().to_owned();
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            generate_to(shell, &mut program, &name, &completions).unwrap();
        }
        clap_mangen::generate_to(program.disable_help_subcommand(true), &man).unwrap();
    }
}
