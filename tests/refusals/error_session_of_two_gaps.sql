/*
title = "Refused"
*/
SELECT a.window_start, a.window_end, a.session_id, a.n AS a, b.n AS b
FROM (
  SELECT window_start, window_end, session_id, COUNT(*) AS n
  FROM TABLE(SESSION(TABLE user_events PARTITION BY session_id, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  GROUP BY window_start, window_end, session_id) a
JOIN (
  SELECT window_start, window_end, session_id, COUNT(*) AS n
  FROM TABLE(SESSION(TABLE user_events PARTITION BY session_id, DESCRIPTOR(event_time), INTERVAL '2' MINUTE)) -- here
  GROUP BY window_start, window_end, session_id) b
ON a.window_start = b.window_start AND a.window_end = b.window_end AND a.session_id = b.session_id
