/*
title = "Events by 7 minutes"
keys = []
*/
SELECT window_start, window_end, COUNT(*) AS events, MIN(event_time) AS earliest, MAX(event_time) AS latest
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '7' MINUTE))
GROUP BY window_start, window_end
