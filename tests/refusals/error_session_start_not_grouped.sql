/*
title = "Refused"
*/
SELECT MIN(window_start) AS window_start, window_end, SUM(n) AS events -- here
FROM (SELECT window_start, window_end, session_id, COUNT(*) AS n FROM TABLE(SESSION(TABLE user_events PARTITION BY session_id, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end, session_id)
GROUP BY window_end
