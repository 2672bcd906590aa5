/*
title = "Viewers and tips of each stream, by the minute"
keys = ["stream_id"]
*/
SELECT v.window_start, v.window_end, v.stream_id, v.viewers_avg, COALESCE(t.tips, 0) AS tips
FROM TABLE(CONCURRENCY(TABLE user_events PARTITION BY stream_id, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) v
LEFT JOIN (
  SELECT window_start, window_end, stream_id, COUNT(*) AS tips
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  WHERE event_type = 'tip.sent'
  GROUP BY window_start, window_end, stream_id
) t ON v.window_start = t.window_start AND v.window_end = t.window_end AND v.stream_id = t.stream_id
