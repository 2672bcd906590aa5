/*
title = "A window's three columns"
keys = []
*/
SELECT window_start, window_end, window_time, COUNT(*) AS events
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, window_time
