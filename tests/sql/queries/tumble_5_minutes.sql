/*
title = "Events by 5 minutes"
keys = []
*/
SELECT window_start, window_end, COUNT(*) AS events, MIN(event_time) AS earliest, MAX(event_time) AS latest
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '5' MINUTE))
GROUP BY window_start, window_end
