/*
title = "Windows of windows with a delay of their own: rows are on time that are late for the job"
keys = ["stream_id"]
watermark_delay_secs = 120
*/
WITH tens AS (
  SELECT stream_id, window_time AS rowtime, COUNT(*) AS events, SUM(played_ms) AS played_ms
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND))
  GROUP BY stream_id, window_start, window_end, window_time
)
SELECT window_start, window_end, stream_id, COUNT(*) AS tens, SUM(events) AS events, MAX(events) AS most, SUM(played_ms) AS played_ms
FROM TABLE(TUMBLE(TABLE tens, DESCRIPTOR(rowtime), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, stream_id
