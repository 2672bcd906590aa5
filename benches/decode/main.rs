//! `cargo bench --bench decode`: records to Arrow batches, on one core, from bytes in memory, beside other parsers.
#![allow(clippy::expect_used, reason = "a benchmark without its input cannot go on")]

mod forms;
mod peers;
#[path = "../workload/mod.rs"]
mod workload;

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use headcount::decode::{Decoder, Provenance};
use headcount::schema::Contract;
use headcount::types::{ReadBatch, Record};

use forms::FORMS;
use peers::{ArrowJson, SimdTape};
use workload::Workload;
use workload::counting::Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting::new();

/// The same reads, with each record's text changed, or left out.
fn changed(workload: &Workload, mut change: impl FnMut(usize, &str) -> Option<String>) -> Vec<ReadBatch> {
    let mut number = 0;
    let reads = workload.shards.values().flatten().map(|read| {
        let records = read.records.iter().filter_map(|record| {
            number += 1;
            let text = change(number, std::str::from_utf8(&record.data).ok()?)?;
            Some(Record { data: Bytes::from(text), ..record.clone() })
        });
        ReadBatch { records: records.collect(), ..read.clone() }
    });
    reads.collect()
}

fn throughput(reads: &[ReadBatch]) -> Throughput {
    let records = || reads.iter().flat_map(|read| &read.records);
    let bytes = records().map(|record| record.data.len() as u64).sum();
    Throughput::ElementsAndBytes { elements: records().count() as u64, bytes }
}

/// An escape in every id and name, which are a quarter of the texts, and one text of nothing but escapes, as of another alphabet.
fn with_escapes(text: &str) -> String {
    text.replace("\"st_", "\"st\\u005f")
        .replace("\"ch_", "\"ch\\\"")
        .replace("\"vw_", "\"vw\\/")
        .replace("\"usr_", "\"usr\\n")
        .replace("\"player\"", "\"\\u043f\\u043b\\u0435\\u0435\\u0440\\ud83d\\ude00\"")
}

/// With a blank after each colon and comma, as Python writes by default.
fn spaced(text: &str) -> String {
    text.replace("\":", "\": ").replace(",\"", ", \"")
}

/// Each fault by turns: a wrong type, no time, a missing field, a cut, a value without its first quote.
fn malformed(number: usize, text: &str) -> String {
    match number % 5 {
        0 => text.replace("\"schema_version\":\"1\"", "\"schema_version\":1"),
        1 => text.replace("\"event_time\":\"2", "\"event_time\":\"x"),
        2 => text.replace("\"event_id\"", "\"event_ident\""),
        3 => text.get(..text.len() * 3 / 4).unwrap_or_default().to_owned(),
        _ => text.replace("\"stream_id\":\"", "\"stream_id\":"),
    }
}

fn decode(c: &mut Criterion) {
    let workload = Workload::generate();
    let contract = Arc::new(Contract::shipped().expect("the shipped contract is valid"));
    let ours = |reads: &[ReadBatch], decoder: &mut Decoder| {
        for read in reads {
            black_box(decoder.decode(read).expect("the read is decoded"));
        }
    };
    let decoder = || Decoder::new(Arc::clone(&contract), Provenance::Record);

    let readable = changed(&workload, |_, text| peers::readable(text.as_bytes()).then(|| text.to_owned()));
    let mut group = c.benchmark_group("decode");
    group.throughput(throughput(&readable));
    group.bench_function("headcount", |b| {
        let mut decoder = decoder();
        b.iter(|| ours(&readable, &mut decoder));
    });
    group.bench_function("arrow_json", |b| {
        let mut decoder = ArrowJson::new(&contract).decoder();
        b.iter(|| readable.iter().for_each(|read| ArrowJson::read(&mut decoder, read)));
    });
    group.bench_function("serde_json_struct", |b| b.iter(|| readable.iter().for_each(peers::serde_json_struct)));
    group.bench_function("simd_json_tape", |b| {
        let mut tape = SimdTape::default();
        b.iter(|| readable.iter().for_each(|read| tape.read(read)));
    });
    group.bench_function("sonic_rs_struct", |b| b.iter(|| readable.iter().for_each(peers::sonic_struct)));

    for (name, reads) in [
        ("headcount_spaced", changed(&workload, |_, text| Some(spaced(text)))),
        ("headcount_escapes", changed(&workload, |_, text| Some(with_escapes(text)))),
        ("headcount_malformed", changed(&workload, |number, text| Some(malformed(number, text)))),
    ] {
        group.throughput(throughput(&reads));
        group.bench_function(name, |b| {
            let mut decoder = decoder();
            b.iter(|| ours(&reads, &mut decoder));
        });
    }

    // By bytes of the events, not of what they are packed into; an element or line is an event.
    for form in FORMS {
        let reads = form.of(&readable);
        group.throughput(throughput(&readable));
        group.bench_function(format!("headcount_{}", form.name), |b| {
            let mut decoder = decoder();
            b.iter(|| ours(&reads, &mut decoder));
        });
    }

    // Judging remembers ids, so each pass begins with judges that have seen nothing.
    group.throughput(workload.throughput());
    group.bench_function("headcount_and_judge", |b| b.iter(|| black_box(workload.judged(&contract))));
    group.finish();
    report_allocations(&readable, &mut decoder());
}

/// How often a decoder asks for memory that has seen such reads before: for each column of a batch, and not for an event.
fn report_allocations(reads: &[ReadBatch], decoder: &mut Decoder) {
    let mut pass = || {
        let allocations = reads.iter().map(|read| {
            let events = read.records.len();
            let of_read = ALLOCATOR.during(|| drop(black_box(decoder.decode(read).expect("the read is decoded"))));
            (of_read, events)
        });
        allocations.fold((0, 0), |(allocations, events), (more, of_read)| (allocations + more, events + of_read))
    };
    pass();
    let (allocations, events) = pass();
    assert!(allocations < events as u64 / 4, "{allocations} allocations for {events} events");
    println!(
        "decode/headcount: {allocations} allocations for {events} events in {} reads: {:.3} an event, {:.0} a read",
        reads.len(),
        allocations as f64 / events as f64,
        allocations as f64 / reads.len() as f64,
    );
}

criterion_group!(benches, decode);
criterion_main!(benches);
