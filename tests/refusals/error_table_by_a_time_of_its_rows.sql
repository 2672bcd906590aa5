/*
title = "Refused"
*/
SELECT
  window_start,
  MAX(event_time) AS window_end, -- here
  session_id
FROM TABLE(SESSION(TABLE user_events PARTITION BY session_id, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, session_id
