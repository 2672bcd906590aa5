/*
title = "Refused"
*/
WITH visits AS (
  SELECT window_time, session_id, COUNT(*) AS events
  FROM TABLE(SESSION(TABLE user_events PARTITION BY session_id, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  GROUP BY window_start, window_end, window_time, session_id
)
SELECT window_start, window_end, MAX(events) AS most
FROM TABLE(TUMBLE(TABLE visits, DESCRIPTOR(window_time), INTERVAL '1' HOUR)) -- here
GROUP BY window_start, window_end
