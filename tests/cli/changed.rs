//! Pipelines that change between two runs.

use super::program::Place;

const CONFIG: &str = "[pipelines]\ndir = \"queries\"\n[lake]\nurl = \"lake\"\n[serve]\nlisten = \"127.0.0.1:0\"\n\
    [embedded]\nevents_per_sec = 300\n";

fn query(key: &str) -> String {
    format!(
        "/*\ntitle = \"t\"\nkeys = [\"{key}\"]\n*/\nSELECT window_start, window_end, {key}, COUNT(*) AS events\n\
         FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND))\n\
         GROUP BY window_start, window_end, {key}\n"
    )
}

#[test]
fn a_start_refuses_a_changed_query_unless_it_may_begin_anew_and_takes_new_ones() {
    let place = Place::new();
    place.write("c.toml", CONFIG);
    place.write("queries/one.sql", &query("country"));
    place.write("queries/two.sql", &query("event_type"));
    let run = ["run", "--config", "c.toml", "--for", "2s"];
    place.run(&run, &[]).works(&["checkpoint 1"]);

    place.write("queries/two.sql", &query("device_type"));
    let words =
        ["000001.checkpoint", "the pipeline two has changed since (the query", "run.on_changed_pipeline = \"fresh\""];
    place.run(&run, &[]).fails(2, &words);
    let fresh = ("HEADCOUNT__RUN__ON_CHANGED_PIPELINE", "fresh");
    let said = place.run(&run, &[fresh]).works(&["going on from checkpoint 1", "checkpoint 2"]);
    assert!(said.stderr.contains("the pipeline has changed") && said.stderr.contains("table=\"two\""), "{said:#?}");
    assert!(!said.stderr.contains("table=\"one\""), "{said:#?}");

    place.write("queries/three.sql", &query("currency"));
    std::fs::remove_file(place.path().join("queries/two.sql")).unwrap();
    let said = place.run(&run, &[]).works(&["going on from checkpoint 2", "checkpoint 3"]);
    assert!(said.stderr.contains("the pipeline is new") && said.stderr.contains("table=\"three\""), "{said:#?}");
    assert!(said.stderr.contains("the pipeline is gone") && said.stderr.contains("table=\"two\""), "{said:#?}");
}
