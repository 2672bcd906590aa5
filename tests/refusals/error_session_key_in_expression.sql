/*
title = "Refused"
*/
SELECT window_start, window_end, UPPER(session_id) AS id, COUNT(*) AS events
FROM TABLE(SESSION(TABLE user_events PARTITION BY session_id, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, UPPER(session_id) -- here
