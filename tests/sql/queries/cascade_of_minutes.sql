/*
title = "Flink's cascading windows: what the windows of 10 seconds were like in each minute"
keys = ["stream_id"]
*/
WITH tens AS (
  SELECT stream_id, window_time AS rowtime, COUNT(*) AS events, SUM(played_ms) AS played_ms
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND))
  GROUP BY stream_id, window_start, window_end, window_time
)
SELECT window_start, window_end, stream_id, COUNT(*) AS tens, SUM(events) AS events, MAX(events) AS most, MIN(events) AS fewest,
  AVG(events) AS events_avg, SUM(played_ms) AS played_ms
FROM TABLE(TUMBLE(TABLE tens, DESCRIPTOR(rowtime), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, stream_id
