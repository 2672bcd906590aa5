/*
title = "Peak viewers of each stream, by the hour"
keys = ["stream_id"]
*/
WITH tens AS (
  SELECT stream_id, window_time, viewers_max, viewer_minutes
  FROM TABLE(CONCURRENCY(TABLE user_events PARTITION BY stream_id, DESCRIPTOR(event_time), INTERVAL '10' SECOND))
)
SELECT window_start, window_end, stream_id, MAX(viewers_max) AS viewers_peak, SUM(viewer_minutes) AS viewer_minutes
FROM TABLE(TUMBLE(TABLE tens, DESCRIPTOR(window_time), INTERVAL '1' HOUR))
GROUP BY window_start, window_end, stream_id
