/*
title = "The peak of ten seconds beside the minute's own figures of distinct users"
keys = ["stream_id"]
allowed_lateness_secs = 45
*/
WITH tens AS (
  SELECT window_time, stream_id, COUNT(*) AS events
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND))
  GROUP BY window_start, window_end, window_time, stream_id
),
peaks AS (
  SELECT window_start, window_end, stream_id, MAX(events) AS peak
  FROM TABLE(TUMBLE(TABLE tens, DESCRIPTOR(window_time), INTERVAL '1' MINUTE))
  GROUP BY window_start, window_end, stream_id
),
minutes AS (
  SELECT window_start, window_end, stream_id, COUNT(*) AS events, COUNT(DISTINCT viewer_id) AS viewers
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  GROUP BY window_start, window_end, stream_id
)
SELECT m.window_start, m.window_end, m.stream_id, m.events, m.viewers, p.peak
FROM minutes m JOIN peaks p ON m.window_start = p.window_start AND m.window_end = p.window_end AND m.stream_id = p.stream_id
