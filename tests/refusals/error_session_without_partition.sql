/*
title = "Refused"
*/
SELECT window_start, window_end, COUNT(*) AS events
FROM TABLE(SESSION(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) -- here
GROUP BY window_start, window_end
