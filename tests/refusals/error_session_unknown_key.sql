/*
title = "Refused"
*/
SELECT window_start, window_end, sesion_id, COUNT(*) AS events
FROM TABLE(SESSION(TABLE user_events PARTITION BY sesion_id, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) -- here
GROUP BY window_start, window_end, sesion_id
