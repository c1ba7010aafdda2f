//! The README, done by the book: its files are written and its commands run, in the order in which a reader meets them.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use tempfile::TempDir;

use crate::support::{COLDWATCH, Program, coldwatch_in, repository};

const PATIENCE: Duration = Duration::from_secs(30);

/// A fenced block: what stands after the fence, and its lines.
struct Block<'a> {
    language: &'a str,
    lines: Vec<&'a str>,
}

fn blocks(readme: &str) -> Vec<Block<'_>> {
    let (mut blocks, mut open) = (Vec::new(), None);
    for line in readme.lines() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(language), None) => open = Some(Block { language, lines: Vec::new() }),
            (Some(_), Some(block)) => blocks.push(block),
            (None, Some(mut block)) => {
                block.lines.push(line);
                open = Some(block);
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block of the README is not closed");
    blocks
}

/// How a command of the README is run here.
#[derive(Debug, PartialEq)]
enum Rehearsal {
    /// It needs what a test must not do: build the program, or run all tests.
    Left,
    /// It ends by itself, with exit code 0.
    Ends(Vec<String>),
    /// It prints a line when it serves, and goes on until the reader is done.
    Serves(Vec<String>),
    /// It prints a document a second until it is stopped.
    Streams(Vec<String>),
    /// A gateway: it watches until the reader starts another.
    Watches(Vec<String>),
}

/// The one table of what the README may say. A command that is not in it fails the test.
fn rehearsal(command: &str) -> Rehearsal {
    let words = words(command.strip_prefix("cargo run --release -- ").unwrap_or(command));
    let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
    if ["cargo test", "cargo install --locked --path ."].contains(&command) {
        return Rehearsal::Left;
    }
    if words.first() == Some(&"coldwatch") {
        words.remove(0);
    }
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    match words.as_slice() {
        ["demo", "--headless", "--seconds", _] | ["demo"] => {
            Rehearsal::Ends(owned(&["demo", "--headless", "--seconds", "2"]))
        }
        // The ports that it names may be taken on this machine.
        ["simulate", rest @ .., "--port-base", _] => {
            Rehearsal::Serves(owned(&[&["simulate"], rest, &["--port-base", "0"]].concat()))
        }
        ["run", .., "--stream"] => Rehearsal::Streams(owned(&words)),
        ["run", ..] => Rehearsal::Watches(owned(&[words.as_slice(), &["--stream"]].concat())),
        // A test has no terminal for it. What it needs of the gateway, the status needs too.
        ["tui"] => Rehearsal::Ends(owned(&["status"])),
        // A day of a small hall in place of a month of a large one.
        ["simulate", rest @ .., "--days", _] if rest.contains(&"--into") => {
            let site = repository("tests/data/month/site.toml").display().to_string();
            let short = ["--days", "1", "--site", &site];
            Rehearsal::Ends(owned(&[&["simulate"], rest, &short].concat()))
        }
        ["check" | "status" | "reload" | "calc" | "rules" | "report", ..] => {
            Rehearsal::Ends(owned(&words))
        }
        _ => panic!("the README says `{command}`, which this test does not know how to run"),
    }
}

/// Words as a shell sees them; double quotes keep spaces.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in command.split('"').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

/// A reader, standing in a folder where the repository's configuration is at hand.
struct Reader {
    folder: TempDir,
    serving: Vec<Program>,
    gateway: Option<Program>,
}

impl Reader {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(repository("configs"), folder.path().join("configs")).unwrap();
        Self { folder, serving: Vec::new(), gateway: None }
    }

    fn coldwatch(&self, arguments: &[String]) -> Command {
        let mut command = coldwatch_in(self.folder.path());
        command.args(arguments).current_dir(self.folder.path());
        command
    }

    /// Writes a block whose first line names a file: `# site.toml: …`.
    fn write(&self, block: &Block<'_>) {
        let name = block.lines[0].strip_prefix("# ").and_then(|line| line.split(':').next());
        let name = name.filter(|name| Path::new(name).extension().is_some());
        let name = name.unwrap_or_else(|| panic!("{} names no file", block.lines[0]));
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, block.lines.join("\n") + "\n").unwrap();
    }

    /// Runs a command of the README and gives what it says, where it ends by itself.
    fn follow(&mut self, command: &str) -> Option<String> {
        match rehearsal(command) {
            Rehearsal::Left => None,
            Rehearsal::Ends(arguments) => {
                let Output { status, stdout, stderr } =
                    self.coldwatch(&arguments).output().unwrap();
                let (said, talk) =
                    (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
                assert_eq!(status.code(), Some(0), "{command}\n{said}{talk}");
                Some(said.into_owned())
            }
            Rehearsal::Serves(arguments) => {
                let program = Program::start(&mut self.coldwatch(&arguments));
                program.line(PATIENCE);
                self.serving.push(program);
                None
            }
            Rehearsal::Streams(arguments) => {
                let program = self.watch(command, &arguments);
                assert!(program.terminate(), "{command} stops when asked to");
                None
            }
            Rehearsal::Watches(arguments) => {
                self.gateway = Some(self.watch(command, &arguments));
                None
            }
        }
    }

    /// Starts a gateway in the place of the one that runs, and waits until it hears every device.
    fn watch(&mut self, command: &str, arguments: &[String]) -> Program {
        let before = self.gateway.take();
        assert!(before.is_none_or(Program::terminate), "a gateway stops when asked to");
        let program = Program::start(&mut self.coldwatch(arguments));
        let all_up = |document: &serde_json::Value| {
            assert_eq!(document["simulated"], true, "{command}");
            let devices = document["devices"].as_array().unwrap();
            devices.iter().all(|device| device["up"] == true)
        };
        program.until(PATIENCE, command, all_up);
        program
    }

    /// Runs the commands of a block that also shows what they answer.
    fn converse(&mut self, block: &Block<'_>) {
        let mut lines = block.lines.iter().peekable();
        while let Some(command) = lines.next() {
            let command = command.strip_prefix("$ ").expect("a command before its answer");
            let mut shown = String::new();
            while let Some(line) = lines.next_if(|line| !line.starts_with("$ ")) {
                shown.push_str(line);
                shown.push('\n');
            }
            let said = self.follow(command).expect("only a command that ends has an answer");
            assert_eq!(said, shown, "{command}");
        }
    }
}

#[test]
fn a_reader_who_does_what_the_readme_says_gets_what_it_promises() {
    let readme = fs::read_to_string(repository("README.md")).unwrap();
    let mut reader = Reader::new();
    for block in blocks(&readme) {
        match block.language {
            "toml" => reader.write(&block),
            "sh" => block.lines.iter().for_each(|command| drop(reader.follow(command))),
            "console" => reader.converse(&block),
            "text" => {}
            other => panic!("this test knows no blocks in {other:?}"),
        }
    }
    assert!(!reader.serving.is_empty(), "the README has its reader start the simulator");
    for program in reader.serving {
        assert!(program.terminate(), "the simulator stops when asked to");
    }
}

#[test]
fn the_readme_links_to_what_is_there() {
    for document in ["README.md", "ARCHITECTURE.md"] {
        let text = fs::read_to_string(repository(document)).unwrap();
        for rest in text.split("](").skip(1) {
            let target = rest.split([')', '#']).next().unwrap();
            let elsewhere = target.is_empty() || target.contains("://");
            assert!(elsewhere || repository(target).exists(), "{document} links to {target}");
        }
    }
}

#[test]
fn a_dashboard_without_a_terminal_is_refused_with_a_reason() {
    for command in ["tui", "demo"] {
        let out = Command::new(COLDWATCH).arg(command).output().unwrap();
        assert_eq!(out.status.code(), Some(1));
        let talk = String::from_utf8_lossy(&out.stderr);
        assert!(talk.contains("not a terminal"), "{talk}");
    }
}

#[test]
#[should_panic(expected = "does not know how to run")]
fn a_command_that_the_table_does_not_know_fails() {
    rehearsal("coldwatch frobnicate");
}
