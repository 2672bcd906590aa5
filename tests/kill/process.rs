//! A process of the program: what it says, and its end, which may be sudden.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// What must happen, happens within this time, or the test fails.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// How the program is started.
pub(super) struct Program {
    binary: PathBuf,
    folder: PathBuf,
    pub env: Vec<(String, String)>,
}

/// A process, which ends with its handle.
pub(super) struct Process {
    child: Child,
    lines: Receiver<String>,
    pub said: Vec<String>,
}

impl Program {
    /// The built program, or the one that `HEADCOUNT_BINARY` names.
    pub(super) fn new(folder: &Path) -> Self {
        let given = std::env::var_os("HEADCOUNT_BINARY").map(PathBuf::from);
        let binary = given.unwrap_or_else(|| env!("CARGO_BIN_EXE_headcount").into());
        Self { binary, folder: folder.to_owned(), env: Vec::new() }
    }

    pub(super) fn start(&self, arguments: &[&str]) -> Process {
        let mut command = Command::new(&self.binary);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HEADCOUNT_") || name == "RUST_LOG") {
            command.env_remove(name);
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value))).args(arguments).current_dir(&self.folder);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|e| panic!("{} does not start: {e}", self.binary.display()));
        let (said, lines) = channel();
        listen(child.stdout.take().unwrap(), said.clone());
        listen(child.stderr.take().unwrap(), said);
        Process { child, lines, said: Vec::new() }
    }

    /// Runs a command that must work; what it said.
    pub(super) fn run(&self, arguments: &[&str]) -> String {
        let mut process = self.start(arguments);
        let status = process.end();
        let said = process.said.join("\n");
        assert!(status.success(), "headcount {} ended with {status}:\n{said}", arguments.join(" "));
        said
    }
}

fn listen(stream: impl Read + Send + 'static, said: Sender<String>) {
    std::thread::spawn(move || {
        BufReader::new(stream).lines().map_while(Result::ok).all(|line| said.send(line).is_ok())
    });
}

impl Process {
    /// Waits until a line has `text`; none if it does not come in time, or the process ends.
    pub(super) fn hears(&mut self, text: &str, within: Duration) -> Option<String> {
        let until = Instant::now() + within;
        loop {
            let line = self.lines.recv_timeout(until.saturating_duration_since(Instant::now())).ok()?;
            self.said.push(line.clone());
            if line.contains(text) {
                return Some(line);
            }
        }
    }

    /// As [`hears`](Self::hears), of a line that must come.
    pub(super) fn wait_for(&mut self, text: &str) -> String {
        self.hears(text, PATIENCE).unwrap_or_else(|| panic!("{text:?} was not said:\n{}", self.said.join("\n")))
    }

    /// SIGKILL: nothing more is done.
    pub(super) fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.said.extend(self.lines.iter());
        assert!(!self.said.iter().any(|line| line.contains("panicked")), "{}", self.said.join("\n"));
        std::mem::take(&mut self.said)
    }

    /// Asks it to end, as an init system does.
    pub(super) fn terminate(&self) {
        assert!(Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap().success());
    }

    /// Waits for the end.
    pub(super) fn end(&mut self) -> ExitStatus {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.said.push(line),
                Err(RecvTimeoutError::Disconnected) => return self.child.wait().unwrap(),
                Err(RecvTimeoutError::Timeout) => panic!("it does not end:\n{}", self.said.join("\n")),
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended, or the test has failed: there is nobody to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
