//! The command line of this process, as it would be typed again: for the commands in hints.

use std::ffi::OsString;

use cni::failure::{ANY_NETWORK, THIS_COMMAND};

/// A command line, taken apart and quoted for a shell.
struct TypedCommand {
    /// All but the options that say which networks it works on.
    command: String,
    /// Those options, ` --conf FILE --network blue`; without `--all`, which not every command has.
    networks: String,
}

impl TypedCommand {
    fn of(arguments: impl Iterator<Item = OsString>) -> Self {
        let mut typed = Self { command: "kube-ipam".to_owned(), networks: String::new() };
        // An argument that is not text is shown as well as it can be.
        let mut arguments = arguments.map(|argument| argument.to_string_lossy().into_owned());
        while let Some(argument) = arguments.next() {
            let (name, value) = match argument.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (argument.as_str(), None),
            };
            match name {
                "--all" => {}
                "--network" | "--conf" => {
                    push(&mut typed.networks, name);
                    if let Some(value) = value.or_else(|| arguments.next()) {
                        push(&mut typed.networks, &value);
                    }
                }
                _ => push(&mut typed.command, &argument),
            }
        }
        typed
    }

    fn of_this_process() -> Self {
        Self::of(std::env::args_os().skip(1))
    }
}

fn push(text: &mut String, word: &str) {
    text.push(' ');
    text.push_str(&quoted(word));
}

/// This command for the network that these options mean, whichever ones were meant so far.
pub(super) fn typed_with(option: &str) -> String {
    TypedCommand::of_this_process().command + option
}

/// A hint whose commands are about the networks that this command was about. Where none was named, they are for any:
/// what only reads shows all, and what writes asks back.
pub(super) fn hint_as_typed(hint: &str) -> String {
    let TypedCommand { command, networks } = TypedCommand::of_this_process();
    hint.replace(THIS_COMMAND, &(command + &networks)).replace(ANY_NETWORK, &networks)
}

/// A word as a shell reads it. Text with a zero byte, which no argument can have, is left as it is.
pub(super) fn quoted(word: &str) -> String {
    shlex::try_quote(word).map_or_else(|_| word.to_owned(), |quoted| quoted.into_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    fn typed(words: &[&str]) -> (String, String) {
        let TypedCommand { command, networks } = TypedCommand::of(words.iter().map(OsString::from));
        (command, networks)
    }

    #[test]
    fn options_of_networks_are_told_from_the_rest() {
        let parts = |command: &str, networks: &str| (command.to_owned(), networks.to_owned());
        assert_eq!(
            typed(&["release", "c1", "--conf", "a b", "--yes", "--network=blue"]),
            parts("kube-ipam release c1 --yes", " --conf 'a b' --network blue")
        );
        assert_eq!(typed(&["export", "--all", "--to", "x"]), parts("kube-ipam export --to x", ""));
        assert_eq!(typed(&["list", "--network"]), parts("kube-ipam list", " --network"));
    }

    #[test]
    fn an_argument_need_not_be_text() {
        let argument = OsString::from_vec(vec![b'a', 0xff]);
        assert!(TypedCommand::of([argument].into_iter()).command.contains("a\u{fffd}"));
    }
}
