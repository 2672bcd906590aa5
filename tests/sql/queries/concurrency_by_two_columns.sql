/*
title = "Concurrent viewers by country and device"
keys = ["country", "device_type"]
*/
SELECT window_start, window_end, window_time, country, device_type, viewers_avg, viewers_max, viewers_current
FROM TABLE(CONCURRENCY(TABLE user_events PARTITION BY country, device_type, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
