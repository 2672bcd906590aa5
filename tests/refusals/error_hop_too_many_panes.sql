/*
title = "Refused"
*/
SELECT window_start, window_end, COUNT(*) AS events
FROM TABLE(HOP(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' SECOND, INTERVAL '1' DAY)) -- here
GROUP BY window_start, window_end
