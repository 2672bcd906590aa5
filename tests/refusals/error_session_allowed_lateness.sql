/*
title = "Refused"
allowed_lateness_secs = 60 # here
*/
SELECT window_start, window_end, session_id, COUNT(*) AS events
FROM TABLE(SESSION(TABLE user_events PARTITION BY session_id, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, session_id
