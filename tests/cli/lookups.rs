//! Lookup tables from their section in a configuration to rows: check, explain, backfill, and a run that is stopped and goes on.

#[cfg(feature = "embedded")]
use headcount::telemetry::metrics::ALL;

#[cfg(feature = "embedded")]
use super::platform::get;
use super::program::Place;

const CONFIG: &str = "[pipelines]\ndir = \"queries\"\n[lake]\nurl = \"lake\"\n[serve]\nlisten = \"127.0.0.1:0\"\n\
    [lookup.countries]\nlocation = \"countries.csv\"\nrefresh_secs = 1\ncolumns = { country = \"text\", region = \"text\" }\n";
const QUERY: &str = "/*\ntitle = \"Events by region\"\nkeys = [\"region\"]\n*/\n\
    SELECT window_start, window_end, c.region, COUNT(*) AS events\n\
    FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND)) e\n\
    JOIN countries c ON e.country = c.country\n\
    GROUP BY window_start, window_end, c.region\n";
const COUNTRIES: &str = "country,region,note\nUS,america,x\nDE,europe,y\nGB,europe,z\n";

fn place() -> Place {
    let place = Place::new();
    place.write("c.toml", CONFIG);
    place.write("queries/events_by_region.sql", QUERY);
    place.write("countries.csv", COUNTRIES);
    place
}

#[test]
fn check_and_explain_know_the_table() {
    let place = place();
    let check = ["check", "--config", "c.toml"];
    place.run(&check, &[]).works(&["lookup     countries: 3 rows of 2 columns at countries.csv", "All is well."]);
    let words = ["join with the lookup table countries: on country = country", "looked for every 1 s (refresh_secs)"];
    place.run(&["explain", "events_by_region", "--config", "c.toml"], &[]).works(&words);
    place.write("countries.csv", &format!("{COUNTRIES}DE,asia,w\n"));
    place
        .run(&check, &[])
        .fails(1, &["countries.csv: row 4: the key country = DE is there twice", "countries.csv: row 2"]);
    place.write("countries.csv", "country\nDE\n");
    place.run(&check, &[]).fails(1, &["countries.csv: the column region is not in it", "it has country"]);
    std::fs::remove_file(place.path().join("countries.csv")).unwrap();
    place.run(&check, &[]).fails(1, &["countries.csv: there is no file of a lookup table"]);
}

#[test]
fn a_backfill_joins_the_table_as_it_is() {
    let place = place();
    place.run(&["simulate", "--events", "2_000", "--seed", "7", "--shards", "2", "--out", "sim"], &[]).works(&[]);
    let backfill = ["backfill", "--config", "c.toml", "--input", "sim/*.ndjson"];
    place.run(&backfill, &[]).works(&["events_by_region"]);
    assert!(!place.parquet("lake/events_by_region").is_empty());
    place
        .run(&["backfill", "--config", "c.toml", "--input", "sim/*.ndjson", "--lookups-of", "3"], &[])
        .fails(2, &["000000000003.checkpoint: there is no such checkpoint", "headcount checkpoint list"]);
}

#[cfg(feature = "embedded")]
#[test]
fn a_run_takes_a_change_up_and_its_checkpoint_names_the_version() {
    let place = place();
    let kept = || std::fs::read_dir(place.path().join("lake/_lookups/headcount")).unwrap().count();
    let shown = || {
        let said =
            place.run(&["checkpoint", "show", "--config", "c.toml"], &[]).works(&["lookup        countries, version "]);
        said.stdout.lines().find(|line| line.starts_with("lookup ")).unwrap().to_owned()
    };
    let run = ["run", "--config", "c.toml"];
    let mut running = place.start(&run, &[]);
    let address = running.address();
    running.wait_for("reading 4 shards");
    // Figures are written once a second.
    running.wait_for("events/s  lag");
    let page = get(&address, "/metrics");
    for metric in ALL.iter().map(|metric| metric.name).filter(|name| name.starts_with("headcount_lookup_")) {
        assert!(page.contains(&format!("\n{metric}{{table=\"countries\"}}")), "{metric} is not in\n{page}");
    }
    running.terminate();
    running.end().works(&["checkpoint 1"]);
    let first = shown();
    assert_eq!(kept(), 1);

    place.write("next.csv", "country,region\nUS,west\n");
    std::fs::rename(place.path().join("next.csv"), place.path().join("countries.csv")).unwrap();
    let run = ["run", "--config", "c.toml", "--for", "4s"];
    let said = place.run(&run, &[]).works(&["going on from checkpoint 1", "checkpoint 2"]);
    assert!(said.stderr.contains("the lookup table has changed"), "{said:#?}");
    assert_ne!(shown(), first);
    assert_eq!(kept(), 2, "two checkpoints name one each");
}
