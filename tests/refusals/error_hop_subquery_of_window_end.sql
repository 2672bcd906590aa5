/*
title = "Refused"
*/
SELECT window_start, window_end, COUNT(*) AS events
FROM TABLE(HOP(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND, INTERVAL '1' MINUTE)) e
WHERE EXISTS (
  SELECT 1 FROM (VALUES (TIMESTAMP '2026-01-01T00:00:00Z')) AS known (t)
  WHERE known.t < e.window_end -- here
)
GROUP BY window_start, window_end
