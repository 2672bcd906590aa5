/*
title = "Refused"
*/
SELECT window_start, window_end, session_id, COUNT(*) AS events
FROM TABLE(SESSION(TABLE user_events PARTITION BY session_id, DESCRIPTOR(event_time), INTERVAL '1' MONTH)) -- here
GROUP BY window_start, window_end, session_id
