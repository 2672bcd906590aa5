//! The rules of the code base that a compiler does not know: who may import whom, where the clock is read, how long things may get.
//!
//! Each rule looks at one file and names what breaks it, by file and line. Each is shown a snippet that it must catch, because a check
//! that cannot fail is worth nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "the helpers of tests, too, fail by panicking")]

mod source;

use std::path::Path;

use source::{Source, is_ident, words};

/// Steps of the flow. They do not import each other, with the exception of [`ALLOWED_EDGES`].
const STAGES: [&str; 5] = ["source", "decode", "pipeline", "operator", "sink"];
/// What assembles and runs the stages. It may import everything but `cli`.
const ABOVE: [&str; 7] = ["engine", "backfill", "dead_letters", "query", "verify", "serve", "cli"];
/// What everybody may import, and what imports nothing but itself.
const BELOW: [&str; 8] = ["aws", "config", "schema", "telemetry", "types", "error", "limits", "clock"];
/// Plans are made of this project's operators.
const ALLOWED_EDGES: [(&str, &str); 1] = [("pipeline", "operator")];

/// Crates that belong to some places only: a crate's name or its beginning, and beginnings of paths.
const CONFINED: [(&str, &[&str]); 4] = [
    ("aws_", &["src/aws/", "src/source/kinesis", "src/source/embedded", "src/sink/cloudwatch"]),
    ("ferrokinesis", &["src/source/embedded"]),
    ("datafusion", &["src/pipeline/", "src/operator/", "src/engine/", "src/backfill/", "src/query/", "src/error.rs"]),
    ("object_store", &["src/aws/", "src/sink/", "src/source/file/", "src/source/lookup/", "src/error.rs"]),
];

/// Ways to read a clock. `tokio::time::Instant` is allowed: tests can stop it.
const CLOCKS: [&str; 4] = ["SystemTime::now", "Utc::now", "Local::now", "Instant::now"];
/// Where the wall clock is read for everybody.
const CLOCK_FILE: &str = "src/clock.rs";
/// Files that may measure elapsed time by `Instant`, for display only.
const MAY_MEASURE: [&str; 2] = ["src/backfill/progress.rs", "src/cli/progress.rs"];

const FILE_LINES_MAX: usize = 450;
const FUNCTION_LINES_MAX: usize = 70;

type Rule = fn(&Source) -> Vec<String>;

const RULES: [Rule; 8] = [
    layers_are_kept,
    crates_stay_in_their_places,
    one_file_reads_the_clock,
    files_are_short,
    functions_are_short,
    mod_files_hold_no_logic,
    files_begin_with_a_page,
    ignored_tests_say_why,
];

fn fault(source: &Source, offset: usize, message: &str) -> String {
    format!("{}:{}: {message}", source.path, source.line_of(offset))
}

/// Stages do not import each other; what is below imports nothing above it; every module has its layer.
fn layers_are_kept(source: &Source) -> Vec<String> {
    let modules = source.modules();
    let Some(own) = modules.first().copied() else { return Vec::new() };
    let mut faults = Vec::new();
    if !STAGES.iter().chain(&ABOVE).chain(&BELOW).any(|m| *m == own) {
        faults.push(fault(source, 0, &format!("module {own} is in no layer: add it to the table of layers")));
    }
    for (at, other) in imports(source) {
        let allowed = own == other
            || BELOW.contains(&other.as_str())
            || (ABOVE.contains(&own) && other != "cli")
            || ALLOWED_EDGES.contains(&(own, other.as_str()));
        if !allowed && STAGES.iter().chain(&ABOVE).any(|m| *m == other) {
            faults.push(fault(source, at, &format!("{own} may not import {other}")));
        }
    }
    faults
}

/// The crate's top modules that production code names, as `crate::x`, `crate::{x, y}`, or by climbing up with `super`.
fn imports(source: &Source) -> Vec<(usize, String)> {
    let code = &source.production;
    let mut paths: Vec<(usize, usize)> = words(code, "crate").into_iter().map(|at| (at, at + "crate".len())).collect();
    let climb = vec!["super"; source.modules().len()].join("::");
    // A longer chain of `super` would not compile; one that is the end of a longer chain is not a start.
    paths.extend(words(code, &climb).into_iter().map(|at| (at, at + climb.len())));
    let mut found = Vec::new();
    for (at, end) in paths {
        let Some(rest) = code[end..].strip_prefix("::") else { continue };
        if let Some(group) = rest.strip_prefix('{') {
            found.extend(heads_of_group(group).into_iter().map(|name| (at, name)));
        } else {
            found.push((at, rest.chars().take_while(|c| is_ident(*c)).collect()));
        }
    }
    found
}

/// First names of the members of `a::b, c::{d, e}, f}`.
fn heads_of_group(group: &str) -> Vec<String> {
    let (mut depth, mut heads, mut at_head) = (0, vec![String::new()], true);
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                heads.push(String::new());
                at_head = true;
            }
            c if depth == 0 && at_head && is_ident(c) => heads.last_mut().expect("there is a head").push(c),
            c if depth == 0 && !c.is_whitespace() => at_head = false,
            _ => {}
        }
    }
    heads
}

/// SDKs, query engine and object stores are used where they belong.
fn crates_stay_in_their_places(source: &Source) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, places) in CONFINED {
        if places.iter().any(|p| source.path.starts_with(p)) {
            continue;
        }
        for (at, _) in source.production.match_indices(name) {
            let starts = !source.production[..at].chars().next_back().is_some_and(is_ident);
            let rest = source.production[at + name.len()..].trim_start_matches(is_ident);
            let whole = name.ends_with('_') || rest.len() == source.production[at + name.len()..].len();
            // A path of the crate, or the crate taken in whole; a local name that sounds alike is not followed by `::`.
            if starts && whole && (rest.starts_with("::") || rest.starts_with(" as ") || rest.starts_with(';')) {
                let place = places.join(", ");
                faults.push(fault(source, at, &format!("{name} belongs to {place}")));
            }
        }
    }
    faults
}

/// Time is injected: only one file reads the clock.
fn one_file_reads_the_clock(source: &Source) -> Vec<String> {
    if source.path == CLOCK_FILE {
        return Vec::new();
    }
    let mut faults = Vec::new();
    for clock in CLOCKS {
        for at in words(&source.code, clock) {
            let of_tokio = source.code[..at].ends_with("tokio::time::") || imports_tokio_instant(source);
            let measures = of_tokio || MAY_MEASURE.contains(&source.path.as_str());
            if clock != "Instant::now" || !measures {
                faults.push(fault(source, at, &format!("{clock}: take a `Clock` instead")));
            }
        }
    }
    faults
}

fn imports_tokio_instant(source: &Source) -> bool {
    let statements = source.code.split(';').map(str::trim_start);
    statements.filter(|s| s.contains("use tokio::time::")).any(|s| !words(s, "Instant").is_empty())
}

fn files_are_short(source: &Source) -> Vec<String> {
    match source.production_lines {
        n if n > FILE_LINES_MAX => {
            vec![fault(source, 0, &format!("{n} lines, over {FILE_LINES_MAX}: split it by noun"))]
        }
        _ => Vec::new(),
    }
}

fn functions_are_short(source: &Source) -> Vec<String> {
    let mut faults = Vec::new();
    for function in source.functions() {
        let lines = source.text[function.extent.clone()].lines().count();
        if lines > FUNCTION_LINES_MAX {
            let message = format!("fn {} has {lines} lines, over {FUNCTION_LINES_MAX}", function.name);
            faults.push(fault(source, function.extent.start, &message));
        }
    }
    faults
}

/// `mod.rs` is a page, traits and re-exports; a trait's default methods may stay.
fn mod_files_hold_no_logic(source: &Source) -> Vec<String> {
    if !source.path.ends_with("/mod.rs") {
        return Vec::new();
    }
    let traits = source.traits();
    let logic = source.functions().into_iter().filter(|f| !traits.iter().any(|t| t.contains(&f.extent.start)));
    logic.map(|f| fault(source, f.extent.start, &format!("fn {} belongs into a file of its own", f.name))).collect()
}

fn files_begin_with_a_page(source: &Source) -> Vec<String> {
    match source.text.starts_with("//! ") {
        true => Vec::new(),
        false => vec![fault(source, 0, "the file does not begin with `//!`: say what it is")],
    }
}

fn ignored_tests_say_why(source: &Source) -> Vec<String> {
    source.code.match_indices("#[ignore]").map(|(at, _)| fault(source, at, "#[ignore] without a reason")).collect()
}

/// All Rust files below a folder of the crate.
fn sources(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let relative = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
                found.push(Source::new(&relative, &std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

#[test]
fn the_code_keeps_its_rules() {
    let sources_of_crate = sources("src");
    assert!(sources_of_crate.iter().any(|s| s.path == "src/lib.rs"), "the sources were not found");
    let mut faults: Vec<String> = Vec::new();
    for source in &sources_of_crate {
        faults.extend(RULES.iter().flat_map(|rule| rule(source)));
    }
    for source in sources("tests") {
        faults.extend([files_begin_with_a_page as Rule, ignored_tests_say_why].iter().flat_map(|rule| rule(&source)));
    }
    assert!(faults.is_empty(), "{} rules are broken:\n{}", faults.len(), faults.join("\n"));
}

/// Asserts that a rule finds exactly `faults` faults in a file.
fn finds(rule: Rule, path: &str, text: &str, faults: usize) {
    let found = rule(&Source::new(path, text));
    assert_eq!(found.len(), faults, "{path}: {text}\n{found:?}");
}

#[test]
fn layers_are_caught() {
    let caught = |path, text| finds(layers_are_kept, path, text, 1);
    caught("src/sink/lake/x.rs", "use crate::decode::Decoder;");
    caught("src/sink/x.rs", "fn f() { crate::source::read() }");
    caught("src/sink/x.rs", "use crate::{error::Error, source::{file, kinesis}, types::Micros};");
    caught("src/sink/x.rs", "use super::super::operator::Pane;");
    caught("src/sink/mod.rs", "pub use super::operator::Pane;");
    caught("src/operator/x.rs", "use crate::pipeline::Plan;");
    caught("src/types/x.rs", "use crate::engine::Stage;");
    caught("src/schema/x.rs", "use crate::decode::Decoder;");
    caught("src/engine/x.rs", "use crate::cli::Args;");
    caught("src/misc/x.rs", "");
    let passes = |path, text| finds(layers_are_kept, path, text, 0);
    passes(
        "src/sink/lake/x.rs",
        "use crate::{Error, limits, types::{self, Micros}};\nuse super::spec::X;\nuse crate::sink::y;",
    );
    passes("src/sink/lake/x.rs", "use super::super::source::Own;");
    passes("src/pipeline/x.rs", "use crate::operator::Window;");
    passes("src/engine/x.rs", "use crate::{source, sink};");
    passes(
        "src/sink/x.rs",
        "// use crate::decode::Decoder;\n#[cfg(test)]\nmod tests {\n    use crate::decode::Decoder;\n}",
    );
    passes("src/main.rs", "use crate::cli::run;");
}

#[test]
fn misplaced_crates_are_caught() {
    let caught = |path, text| finds(crates_stay_in_their_places, path, text, 1);
    caught("src/sink/x.rs", "use aws_sdk_kinesis::Client;");
    caught("src/source/file/x.rs", "fn f(c: aws_config::SdkConfig) {}");
    caught("src/source/simulator.rs", "use ferrokinesis::App;");
    caught("src/decode/x.rs", "use datafusion::arrow::array::Array;");
    caught("src/source/kinesis.rs", "use object_store;");
    caught("src/engine/x.rs", "use object_store as store;");
    let passes = |path, text| finds(crates_stay_in_their_places, path, text, 0);
    passes("src/source/kinesis/x.rs", "use aws_sdk_kinesis::Client;");
    passes("src/source/embedded.rs", "use {aws_config::x, ferrokinesis::y};");
    passes(
        "src/error.rs",
        "impl From<datafusion::error::DataFusionError> for Error {}\nimpl From<object_store::Error> for Error {}",
    );
    passes(
        "src/config/x.rs",
        "let aws_region = 1; struct object_store_url; // datafusion::x\nlet s = \"datafusion::y\";",
    );
}

#[test]
fn other_clocks_are_caught() {
    let caught = |path, text| finds(one_file_reads_the_clock, path, text, 1);
    caught("src/engine/x.rs", "let t = SystemTime::now();");
    caught("src/engine/x.rs", "let t = chrono::Utc::now();");
    caught("src/engine/x.rs", "let t = std::time::Instant::now();");
    caught("src/backfill/progress.rs", "let t = Utc::now();");
    let passes = |path, text| finds(one_file_reads_the_clock, path, text, 0);
    passes("src/clock.rs", "let t = SystemTime::now();");
    passes("src/engine/x.rs", "use tokio::time::{Duration, Instant};\nlet t = Instant::now();");
    passes("src/engine/x.rs", "let t = tokio::time::Instant::now();");
    passes("src/backfill/progress.rs", "let t = Instant::now();");
    passes("src/engine/x.rs", "let t = clock.now(); // Utc::now");
}

#[test]
fn long_files_and_functions_are_caught() {
    let lines = |n: usize| "    let x = 1;\n".repeat(n);
    finds(files_are_short, "src/x.rs", &lines(FILE_LINES_MAX + 1), 1);
    finds(files_are_short, "src/x.rs", &lines(FILE_LINES_MAX), 0);
    let tests = format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", lines(FILE_LINES_MAX), lines(100));
    finds(files_are_short, "src/x.rs", &tests, 0);
    let function = |n: usize| format!("impl X {{\nasync fn f<T>(x: T) -> u8 {{\n{}}}\n}}\n", lines(n));
    finds(functions_are_short, "src/x.rs", &function(FUNCTION_LINES_MAX - 1), 1);
    finds(functions_are_short, "src/x.rs", &function(FUNCTION_LINES_MAX - 2), 0);
}

#[test]
fn logic_in_mod_files_is_caught() {
    finds(mod_files_hold_no_logic, "src/sink/mod.rs", "pub fn open() {}", 1);
    finds(mod_files_hold_no_logic, "src/sink/mod.rs", "impl X { fn f(&self) -> u8 { 1 } }", 1);
    finds(
        mod_files_hold_no_logic,
        "src/sink/mod.rs",
        "pub trait Sink: Send { fn f(&self) -> u8 { 1 } fn g(&self); }",
        0,
    );
    finds(mod_files_hold_no_logic, "src/sink/mod.rs", "#[cfg(test)]\nmod tests { fn f() {} }", 0);
    finds(mod_files_hold_no_logic, "src/sink/lake.rs", "pub fn open() {}", 0);
}

#[test]
fn missing_pages_and_reasons_are_caught() {
    finds(files_begin_with_a_page, "src/x.rs", "use std::fmt;", 1);
    finds(files_begin_with_a_page, "src/x.rs", "//! X.\n", 0);
    finds(ignored_tests_say_why, "src/x.rs", "#[test]\n#[ignore]\nfn f() {}", 1);
    finds(ignored_tests_say_why, "src/x.rs", "#[test]\n#[ignore = \"needs a bucket\"]\nfn f() {}", 0);
}
