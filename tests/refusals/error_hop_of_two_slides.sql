/*
title = "Refused"
*/
SELECT a.window_start, a.window_end, a.n AS a, b.n AS b
FROM (
  SELECT window_start, window_end, COUNT(*) AS n
  FROM TABLE(HOP(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND, INTERVAL '1' MINUTE))
  GROUP BY window_start, window_end) a
JOIN (
  SELECT window_start, window_end, COUNT(*) AS n
  FROM TABLE(HOP(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '20' SECOND, INTERVAL '1' MINUTE)) -- here
  GROUP BY window_start, window_end) b
ON a.window_start = b.window_start AND a.window_end = b.window_end
