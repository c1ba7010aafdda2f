//! System calls of a program, as strace saw them.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// How long a program may go on after its last call, and strace after the program.
const PATIENCE: Duration = Duration::from_mins(1);

/// A command that runs a program under strace, with the calls in `trace` written to a file. The program's own command line
/// is to be added.
pub(crate) fn strace(file: &Path, calls: &str) -> Command {
    let mut command = Command::new("strace");
    command.args(["-D", "-f", "-q", "-x", "-yy", "-s", "4000000", "-o"]).arg(file).args([
        "-e",
        &format!("trace={calls}"),
        "--",
    ]);
    command
}

/// One system call that worked.
pub(crate) struct Call {
    pub(crate) name: String,
    /// Between its brackets, as strace wrote it.
    pub(crate) arguments: String,
    /// What is behind the descriptor, its first argument: a path, or both ends of a socket. Empty without one.
    pub(crate) on: String,
    /// What was read or written.
    pub(crate) bytes: Vec<u8>,
    /// Places of its entry and of its return in the order of the trace.
    pub(crate) entered: usize,
    pub(crate) returned: usize,
}

/// The calls of a program that ended well, by their return, once strace has written all of them.
pub(crate) fn calls(trace: &Path) -> Vec<Call> {
    let trace = finished(trace);
    let mut begun: BTreeMap<&str, (usize, String)> = BTreeMap::new();
    let mut calls = Vec::new();
    for (place, line) in trace.lines().enumerate() {
        let Some((pid, text)) = line.split_once(' ') else { continue };
        let text = text.trim_start();
        if let Some(start) = text.strip_suffix(" <unfinished ...>") {
            begun.insert(pid, (place, start.to_owned()));
        } else if text.starts_with("<... ") {
            let Some((entered, start)) = begun.remove(pid) else { continue };
            let Some((_, rest)) = text.split_once(" resumed>") else { continue };
            calls.extend(call(&format!("{start}{rest}"), entered, place));
        } else {
            calls.extend(call(text, place, place));
        }
    }
    calls.sort_by_key(|call| call.returned);
    calls
}

fn finished(trace: &Path) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        // Not there before strace has begun.
        let text = fs::read_to_string(trace).unwrap_or_default();
        if text.trim_end().ends_with("+++ exited with 0 +++") {
            return text;
        }
        assert!(Instant::now() < deadline, "strace does not end");
        thread::park_timeout(Duration::from_millis(20));
    }
}

fn call(text: &str, entered: usize, returned: usize) -> Option<Call> {
    let (name, rest) = text.split_once('(')?;
    let (arguments, result) = rest.rsplit_once(" = ")?;
    let arguments = arguments.trim_end().strip_suffix(')')?.to_owned();
    let result: usize = result.split([' ', '<']).next()?.parse().ok()?;
    let (on, rest) = behind(&arguments).unwrap_or(("", &arguments));
    let mut bytes = Vec::new();
    if sends(name) || receives(name) {
        bytes = strings(rest);
        bytes.truncate(result);
    }
    let (name, on) = (name.to_owned(), on.to_owned());
    Some(Call { name, arguments, on, bytes, entered, returned })
}

/// What `<…>` says behind a descriptor that is the first argument, and the arguments after it.
fn behind(arguments: &str) -> Option<(&str, &str)> {
    let (descriptor, on) = arguments.split_once('<')?;
    descriptor.parse::<u32>().ok()?;
    // The one of "->", between both ends of a socket, does not end it.
    let (end, _) = on.match_indices('>').find(|(at, _)| !on[..*at].ends_with('-'))?;
    Some((&on[..end], &on[end + 1..]))
}

pub(crate) fn sends(name: &str) -> bool {
    matches!(name, "write" | "writev" | "sendto" | "sendmsg" | "pwrite64" | "pwritev")
}

pub(crate) fn receives(name: &str) -> bool {
    matches!(name, "read" | "readv" | "recvfrom" | "recvmsg")
}

/// All quoted strings, as strace writes them with -x.
pub(crate) fn strings(text: &str) -> Vec<u8> {
    let (mut bytes, mut quoted) = (Vec::new(), false);
    let mut text = text.bytes();
    while let Some(byte) = text.next() {
        match (quoted, byte) {
            (_, b'"') => quoted = !quoted,
            (true, b'\\') => match text.next() {
                Some(b'x') => {
                    let hex = [text.next().unwrap(), text.next().unwrap()];
                    let hex = std::str::from_utf8(&hex).unwrap().to_owned();
                    bytes.push(u8::from_str_radix(&hex, 16).unwrap());
                }
                Some(b'n') => bytes.push(b'\n'),
                Some(b'r') => bytes.push(b'\r'),
                Some(b't') => bytes.push(b'\t'),
                Some(b'v') => bytes.push(0x0B),
                Some(b'f') => bytes.push(0x0C),
                Some(other) => bytes.push(other),
                None => {}
            },
            (true, other) => bytes.push(other),
            (false, _) => {}
        }
    }
    bytes
}
