/*
title = "Refused"
*/
SELECT window_start, window_end, COUNT(*) AS events
FROM TABLE(TUMBLE(TABLE user_event, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) -- here
GROUP BY window_start, window_end
