/*
title = "Viewers and tips of each stream, by the minute: either side may have nothing"
keys = ["stream_id"]
*/
SELECT
  COALESCE(v.window_start, t.window_start) AS window_start,
  COALESCE(v.window_end, t.window_end) AS window_end,
  COALESCE(v.stream_id, t.stream_id) AS stream_id,
  v.viewers_avg, v.viewers_max, t.tips, t.amount_minor
FROM TABLE(CONCURRENCY(TABLE user_events PARTITION BY stream_id, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) v
FULL JOIN (
  SELECT window_start, window_end, stream_id, COUNT(*) AS tips, SUM(amount_minor) AS amount_minor
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  WHERE event_type = 'tip.sent'
  GROUP BY window_start, window_end, stream_id
) t ON v.window_start = t.window_start AND v.window_end = t.window_end AND v.stream_id = t.stream_id
