/*
title = "Refused"
*/
SELECT window_start, window_end, session_id, COUNT(*) AS events
FROM TABLE(SESSION(DATA => TABLE user_events PARTITION BY session_id, TIMECOL => DESCRIPTOR(event_time), SIZE => INTERVAL '1' MINUTE)) -- here
GROUP BY window_start, window_end, session_id
