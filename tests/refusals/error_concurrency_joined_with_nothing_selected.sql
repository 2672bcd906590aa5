/*
title = "Refused"
allowed_lateness_secs = 60 # here
*/
SELECT v.window_start, v.window_end, v.stream_id, v.viewers_max
FROM TABLE(CONCURRENCY(TABLE user_events PARTITION BY stream_id, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) v
LEFT JOIN (
  SELECT window_start, window_end, stream_id, COUNT(*) AS events
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  GROUP BY window_start, window_end, stream_id
) e ON v.window_start = e.window_start AND v.window_end = e.window_end AND v.stream_id = e.stream_id
