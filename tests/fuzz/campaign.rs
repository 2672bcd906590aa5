//! A bounded run of a target: its seeds as they are, then mutations of them, each made from the run's seed and its own number.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

use rand::SeedableRng;
use rand::rngs::SmallRng;
use xxhash_rust::xxh3::xxh3_64;

use super::mutate::mutate;

/// How many mutations, instead of the few of an ordinary run.
const ITERATIONS: &str = "HEADCOUNT_FUZZ_ITERATIONS";
/// Another seed, for other mutations.
const SEED: &str = "HEADCOUNT_FUZZ_SEED";
/// A file: the target sees it and nothing else.
const INPUT: &str = "HEADCOUNT_FUZZ_INPUT";
/// A folder: the target's seeds and its dictionary are written there, for libFuzzer, and the target is not run.
const CORPUS: &str = "HEADCOUNT_FUZZ_CORPUS";

const SEED_DEFAULT: u64 = 20_260_131;

/// How much of an input a failure shows; all of it is in a file.
const SHOWN_BYTES: usize = 4_000;

pub struct Campaign {
    /// As in `fuzz/fuzz_targets`.
    pub target: &'static str,
    pub seeds: Vec<Vec<u8>>,
    /// Words that mean something to the parser.
    pub dictionary: &'static [&'static [u8]],
    pub iterations: u64,
}

impl Campaign {
    pub fn run(&self, check: impl Fn(&[u8])) {
        if let Some(folder) = variable::<PathBuf>(CORPUS) {
            return self.write(&folder);
        }
        if let Some(path) = variable::<PathBuf>(INPUT) {
            return check(&std::fs::read(path).unwrap());
        }
        for (n, seed) in self.seeds.iter().enumerate() {
            self.watch(&format!("seed file {n}"), seed, &check);
        }
        let seed = variable(SEED).unwrap_or(SEED_DEFAULT);
        for n in 0..variable(ITERATIONS).unwrap_or(self.iterations) {
            let mut rng = SmallRng::seed_from_u64(seed ^ n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let input = mutate(&self.seeds, self.dictionary, &mut rng);
            self.watch(&format!("{SEED}={seed}, iteration {n}"), &input, &check);
        }
    }

    /// Says what the input was if the target fails.
    fn watch(&self, origin: &str, input: &[u8], check: &impl Fn(&[u8])) {
        let Err(failure) = catch_unwind(AssertUnwindSafe(|| check(input))) else { return };
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{}", self.target));
        std::fs::write(&path, input).unwrap();
        let shown = input.get(..SHOWN_BYTES).unwrap_or(input).escape_ascii();
        eprintln!("\ntarget {} fails: {origin}\ninput, {} bytes: {shown}", self.target, input.len());
        eprintln!("again: {INPUT}={} cargo nextest run fuzz::bounded::{}\n", path.display(), self.target);
        resume_unwind(failure);
    }

    /// Seeds as files of `<folder>/<target>/`, and `<folder>/<target>.dict`.
    fn write(&self, folder: &Path) {
        let of_target = folder.join(self.target);
        std::fs::create_dir_all(&of_target).unwrap();
        for seed in &self.seeds {
            std::fs::write(of_target.join(format!("{:016x}", xxh3_64(seed))), seed).unwrap();
        }
        let quoted = |word: &&[u8]| word.iter().map(|b| format!("\\x{b:02x}")).collect::<String>();
        let words: String = self.dictionary.iter().map(|word| format!("\"{}\"\n", quoted(word))).collect();
        std::fs::write(folder.join(format!("{}.dict", self.target)), words).unwrap();
    }
}

/// An environment variable's value, if it is set to one.
fn variable<T: std::str::FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} cannot be read")))
}

#[test]
fn a_failure_shows_itself_and_stops_the_run() {
    let campaign = Campaign { target: "self", seeds: vec![b"ab".to_vec()], dictionary: &[b"x"], iterations: 1_000 };
    let wrong = |input: &[u8]| assert!(!input.contains(&b'x'), "there is an x");
    let failed = catch_unwind(AssertUnwindSafe(|| campaign.run(wrong)));
    assert!(failed.is_err(), "no mutation brings a word of the dictionary");
    let kept = std::fs::read(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("fuzz-self")).unwrap();
    assert!(kept.contains(&b'x'));
}
