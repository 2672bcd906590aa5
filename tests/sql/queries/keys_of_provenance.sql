/*
title = "Where the events came from"
keys = ["shard_id"]
*/
SELECT
  window_start, window_end, shard_id, COUNT(*) AS events, MIN(CAST(sequence_number AS BIGINT)) AS first_line,
  MAX(ingest_time) AS latest_arrival, COUNT(event_time_original) AS repaired
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, shard_id
