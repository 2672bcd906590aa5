/*
title = "Refused"
*/
SELECT window_start, window_end, session_id, COUNT(*) AS events
FROM TABLE(SESSION(TABLE user_events PARTITION BY session_id, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
WHERE window_end > TIMESTAMP '2026-01-01T00:00:00Z' -- here
GROUP BY window_start, window_end, session_id
