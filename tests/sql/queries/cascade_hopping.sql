/*
title = "Windows of a minute, one every 20 seconds, over windows of 5 seconds"
keys = ["device_type"]
*/
WITH fives AS (
  SELECT window_time AS rowtime, device_type, COUNT(*) AS events, COUNT(DISTINCT session_id) AS sessions
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '5' SECOND))
  GROUP BY window_start, window_end, window_time, device_type
)
SELECT window_start, window_end, device_type, SUM(events) AS events, MAX(sessions) AS sessions_max
FROM TABLE(HOP(TABLE fives, DESCRIPTOR(rowtime), INTERVAL '20' SECOND, INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, device_type
