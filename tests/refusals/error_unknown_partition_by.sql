/*
title = "Refused"
*/
SELECT window_start, window_end, viewers_max
FROM TABLE(CONCURRENCY(TABLE user_events PARTITION BY city, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) -- here
