/*
title = "Refused"
*/
SELECT window_start, window_end, COUNT(*) AS n
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' DAY, INTERVAL '2' HOUR)) -- here
GROUP BY window_start, window_end
