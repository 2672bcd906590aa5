/*
title = "Each stream's share of all viewers, by the minute"
keys = ["stream_id"]
*/
SELECT
  s.window_start, s.window_end, s.stream_id, s.viewer_minutes, p.viewer_minutes AS of_all, p.viewers_max,
  s.viewer_minutes / p.viewer_minutes AS share
FROM TABLE(CONCURRENCY(TABLE user_events PARTITION BY stream_id, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) s
JOIN TABLE(CONCURRENCY(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) p
ON s.window_start = p.window_start AND s.window_end = p.window_end
