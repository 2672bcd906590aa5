//! Runs the built program.
#![cfg_attr(not(feature = "embedded"), allow(dead_code, reason = "there is no platform to run"))]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// A program that has not ended after this long is stopped, and the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A working folder.
pub(super) struct Place(tempfile::TempDir);

/// What a run of the program left.
#[derive(Debug)]
pub(super) struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// A program that runs, and the lines it has said.
pub(super) struct Running {
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Place {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file below the folder.
    pub(super) fn write(&self, name: &str, text: &str) {
        crate::fixture::write(self.0.path().join(name), text);
    }

    /// The Parquet files below a path.
    pub(super) fn parquet(&self, below: &str) -> Vec<PathBuf> {
        let pattern = self.0.path().join(below).join("**/*.parquet");
        glob::glob(pattern.to_str().unwrap()).unwrap().map(Result::unwrap).collect()
    }

    fn command(&self, arguments: &[&str], env: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_headcount"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HEADCOUNT__") || name == "RUST_LOG") {
            command.env_remove(name);
        }
        // A panic would show its backtrace, and so be seen.
        command.env("RUST_BACKTRACE", "1").envs(env.iter().copied());
        command.args(arguments).current_dir(self.0.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs the program to its end.
    pub(super) fn run(&self, arguments: &[&str], env: &[(&str, &str)]) -> Outcome {
        self.start(arguments, env).end()
    }

    /// Runs the program to its end, with nobody at the other end of its standard output.
    pub(super) fn run_unheard(&self, arguments: &[&str], env: &[(&str, &str)]) -> Outcome {
        let mut child = self.command(arguments, env).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!stderr.contains("panicked"), "{stderr}");
        Outcome { code: output.status.code(), stdout: String::new(), stderr }
    }

    /// Starts the program.
    pub(super) fn start(&self, arguments: &[&str], env: &[(&str, &str)]) -> Running {
        let mut child = self.command(arguments, env).spawn().unwrap();
        let (said, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).all(|line| said.send(line).is_ok()));
        Running { child, lines, said: Vec::new() }
    }
}

impl Running {
    /// Waits for a line of standard output that contains `text`.
    pub(super) fn wait_for(&mut self, text: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no {text:?} in {:#?}", self.said));
            self.said.push(line.clone());
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Waits for the address at which it serves.
    pub(super) fn address(&mut self) -> String {
        let said = self.wait_for("metrics at http://");
        said.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned()
    }

    /// Asks it to end, as an init system does.
    pub(super) fn terminate(&self) {
        let killed = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(killed.success());
    }

    /// Waits for the end. No run may say anything of a panic.
    pub(super) fn end(mut self) -> Outcome {
        let mut stderr = self.child.stderr.take().unwrap();
        let errors = std::thread::spawn(move || std::io::read_to_string(&mut stderr).unwrap());
        // Standard output is closed when the program ends.
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.said.push(line),
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => panic!("it does not end: {:#?}", self.said),
            }
        }
        let status: ExitStatus = self.child.wait().unwrap();
        let outcome = Outcome {
            code: status.code(),
            stdout: std::mem::take(&mut self.said).join("\n"),
            stderr: errors.join().unwrap(),
        };
        for words in ["panicked", "backtrace", "RUST_BACKTRACE", "stack overflow"] {
            let said = |text: &str| text.contains(words);
            assert!(!said(&outcome.stdout) && !said(&outcome.stderr), "{words}: {outcome:#?}");
        }
        outcome
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended, or the test has failed: there is nobody to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Outcome {
    /// Asserts the exit code and that standard error has each of `words`.
    #[track_caller]
    pub(super) fn fails(self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:#?}");
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is not said: {self:#?}");
        }
        if code == 2 {
            assert_eq!(self.stderr.matches("error: ").count(), 1, "one message: {self:#?}");
        }
    }

    /// Asserts that it worked, and said each of `words`.
    #[track_caller]
    pub(super) fn works(self, words: &[&str]) -> Self {
        assert_eq!(self.code, Some(0), "{self:#?}");
        for word in words {
            assert!(self.stdout.contains(word), "{word:?} is not said: {self:#?}");
        }
        self
    }
}
