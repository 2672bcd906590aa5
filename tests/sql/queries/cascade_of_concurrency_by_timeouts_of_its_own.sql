/*
title = "The peak of each stream's viewers by a timeout of their own, from windows of 10 seconds"
keys = ["stream_id"]
*/
WITH tens AS (
  SELECT window_time AS rowtime, stream_id, viewers_max, viewer_minutes
  FROM TABLE(CONCURRENCY(
    TABLE user_events PARTITION BY stream_id,
    DESCRIPTOR(event_time),
    INTERVAL '10' SECOND,
    SESSION_TIMEOUT => INTERVAL '20' SECOND
  ))
)
SELECT window_start, window_end, stream_id, MAX(viewers_max) AS peak, SUM(viewer_minutes) AS viewer_minutes, COUNT(*) AS tens
FROM TABLE(TUMBLE(TABLE tens, DESCRIPTOR(rowtime), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, stream_id
