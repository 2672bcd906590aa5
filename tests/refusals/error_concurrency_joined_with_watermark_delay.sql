/*
title = "Refused"
watermark_delay_secs = 60 # here
*/
SELECT a.window_start, a.window_end, a.viewers_max, b.events
FROM TABLE(CONCURRENCY(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) a
JOIN (
  SELECT window_start, window_end, COUNT(*) AS events
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  GROUP BY window_start, window_end) b
ON a.window_end = b.window_end
