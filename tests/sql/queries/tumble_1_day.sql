/*
title = "Events by 1 day"
keys = []
*/
SELECT window_start, window_end, COUNT(*) AS events, MIN(event_time) AS earliest, MAX(event_time) AS latest
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' DAY))
GROUP BY window_start, window_end
