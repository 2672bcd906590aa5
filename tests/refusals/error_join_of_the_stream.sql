/*
title = "Refused"
*/
SELECT a.window_start, a.window_end, COUNT(*) AS pairs
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) a
JOIN user_events b ON a.event_id = b.event_id -- here
GROUP BY a.window_start, a.window_end
