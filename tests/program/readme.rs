//! The commands of README.md do what it says: every block marked `console` runs line by line.

use std::path::Path;
use std::process::Command;

/// In a `console` block, `$ command` lines run in one shell session per block; the lines below a command are parts of
/// what it must print (`…` stands for anything).
#[test]
fn commands_print_what_the_readme_shows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for page in ["README.md", "policies/README.md"] {
        let text = std::fs::read_to_string(root.join(page)).unwrap();
        let directory = tempfile::tempdir().unwrap();
        for block in blocks(&text) {
            run(page, &root, directory.path(), &block);
        }
    }
}

struct Step {
    command: String,
    shown: Vec<String>,
}

fn blocks(text: &str) -> Vec<Vec<Step>> {
    let mut blocks = Vec::new();
    for block in text.split("```console\n").skip(1) {
        let mut steps: Vec<Step> = Vec::new();
        for line in block.split("```").next().unwrap_or("").lines() {
            match line.strip_prefix("$ ") {
                Some(command) => steps.push(Step { command: command.to_owned(), shown: Vec::new() }),
                None => steps.last_mut().expect("a block begins with a command").shown.push(line.to_owned()),
            }
        }
        blocks.push(steps);
    }
    blocks
}

fn run(page: &str, root: &Path, directory: &Path, steps: &[Step]) {
    for step in steps {
        let path =
            format!("{}:{}", root.join("target").canonicalize().unwrap().display(), std::env::var("PATH").unwrap());
        let output = Command::new("bash")
            .args(["-c", &step.command])
            .current_dir(directory)
            .env("PATH", path)
            .envs([kube_ipam_tests::program::NO_LOG])
            .env("PROJECT", root.canonicalize().unwrap())
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        for wanted in step.shown.iter().flat_map(|line| line.split('…')).map(str::trim).filter(|part| !part.is_empty())
        {
            assert!(
                printed.contains(wanted),
                "{page}: `{}` should print {wanted:?}, printed:\n{printed}",
                step.command
            );
        }
    }
}
