/*
title = "The most viewers of ten seconds in each hour, and the tips of these seconds"
keys = ["stream_id"]
allowed_lateness_secs = 300
*/
WITH tens AS (
  SELECT v.window_time, v.stream_id, v.viewers_max, COALESCE(t.tips, 0) AS tips
  FROM TABLE(CONCURRENCY(TABLE user_events PARTITION BY stream_id, DESCRIPTOR(event_time), INTERVAL '10' SECOND)) v
  LEFT JOIN (
    SELECT window_start, window_end, stream_id, COUNT(*) AS tips
    FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND))
    WHERE event_type = 'tip.sent'
    GROUP BY window_start, window_end, stream_id
  ) t ON v.window_start = t.window_start AND v.window_end = t.window_end AND v.stream_id = t.stream_id
)
SELECT window_start, window_end, stream_id, MAX(viewers_max) AS viewers_peak, SUM(tips) AS tips
FROM TABLE(TUMBLE(TABLE tens, DESCRIPTOR(window_time), INTERVAL '1' HOUR))
GROUP BY window_start, window_end, stream_id
