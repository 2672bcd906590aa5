/*
title = "An aggregate over each session: of how many kinds its events are, and the most of one kind"
keys = ["session_id"]
*/
WITH kinds AS (
  SELECT window_start, window_end, session_id, event_type, COUNT(*) AS events
  FROM TABLE(SESSION(TABLE user_events PARTITION BY session_id, DESCRIPTOR(event_time), INTERVAL '30' SECOND))
  WHERE session_id IS NOT NULL
  GROUP BY window_start, window_end, session_id, event_type)
SELECT window_start, window_end, session_id, COUNT(*) AS kinds, MAX(events) AS most, SUM(events) AS events
FROM kinds
GROUP BY window_start, window_end, session_id
