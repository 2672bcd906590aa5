/*
title = "Viewers and messages of each stream: late messages are counted once more beside the same viewers"
keys = ["stream_id"]
allowed_lateness_secs = 100
*/
SELECT
  COALESCE(v.window_start, m.window_start) AS window_start,
  COALESCE(v.window_end, m.window_end) AS window_end,
  COALESCE(v.stream_id, m.stream_id) AS stream_id,
  v.viewers_avg, v.unique_viewers, m.messages
FROM TABLE(CONCURRENCY(TABLE user_events PARTITION BY stream_id, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) v
FULL JOIN (
  SELECT window_start, window_end, stream_id, COUNT(*) AS messages
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  WHERE event_type NOT LIKE 'view.%'
  GROUP BY window_start, window_end, stream_id
) m ON v.window_start = m.window_start AND v.window_end = m.window_end AND v.stream_id = m.stream_id
