/*
title = "Refused"
*/
SELECT window_start, window_end, session_id,
  MIN(window_start) AS began -- here
FROM TABLE(SESSION(TABLE user_events PARTITION BY session_id, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, session_id
