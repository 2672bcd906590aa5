/*
title = "The same with late rows, which change the counts and not who was present"
keys = ["stream_id"]
allowed_lateness_secs = 60
*/
WITH tens AS (
  SELECT v.window_time AS rowtime, v.stream_id, v.viewers_max, COALESCE(e.events, 0) AS events
  FROM TABLE(CONCURRENCY(TABLE user_events PARTITION BY stream_id, DESCRIPTOR(event_time), INTERVAL '10' SECOND)) v
  LEFT JOIN (
    SELECT window_start, window_end, stream_id, COUNT(*) AS events
    FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND))
    GROUP BY window_start, window_end, stream_id
  ) e ON v.window_start = e.window_start AND v.window_end = e.window_end AND v.stream_id = e.stream_id
)
SELECT window_start, window_end, stream_id, MAX(viewers_max) AS peak, SUM(events) AS events, COUNT(*) AS tens,
  MAX(CAST(events AS DOUBLE) / NULLIF(viewers_max, 0)) AS events_of_a_viewer_max
FROM TABLE(TUMBLE(TABLE tens, DESCRIPTOR(rowtime), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, stream_id
