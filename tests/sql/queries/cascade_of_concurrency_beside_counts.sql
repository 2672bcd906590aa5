/*
title = "The peak of viewers of 10 seconds, beside the minute's own presence and its own count of events"
keys = ["stream_id"]
allowed_lateness_secs = 60
*/
WITH tens AS (
  SELECT window_time AS rowtime, stream_id, viewers_avg
  FROM TABLE(CONCURRENCY(TABLE user_events PARTITION BY stream_id, DESCRIPTOR(event_time), INTERVAL '10' SECOND))
),
peaks AS (
  SELECT window_start, window_end, stream_id, MAX(viewers_avg) AS busiest_ten
  FROM TABLE(TUMBLE(TABLE tens, DESCRIPTOR(rowtime), INTERVAL '1' MINUTE))
  GROUP BY window_start, window_end, stream_id
),
counts AS (
  SELECT window_start, window_end, stream_id, COUNT(*) AS events
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  GROUP BY window_start, window_end, stream_id
)
SELECT m.window_start, m.window_end, m.stream_id, m.viewers_avg, p.busiest_ten, COALESCE(c.events, 0) AS events
FROM TABLE(CONCURRENCY(TABLE user_events PARTITION BY stream_id, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) m
JOIN peaks p ON m.window_start = p.window_start AND m.window_end = p.window_end AND m.stream_id = p.stream_id
LEFT JOIN counts c ON m.window_start = c.window_start AND m.window_end = c.window_end AND m.stream_id = c.stream_id
