/*
title = "Events by 500 milliseconds"
keys = []
*/
SELECT window_start, window_end, COUNT(*) AS events, MIN(event_time) AS earliest, MAX(event_time) AS latest
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '500' MILLISECOND))
GROUP BY window_start, window_end
