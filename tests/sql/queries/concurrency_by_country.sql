/*
title = "Concurrent viewers by country, every 30 seconds"
keys = ["country"]
*/
SELECT window_start, window_end, country, viewers_min, viewers_avg, viewers_max, unique_viewers
FROM TABLE(CONCURRENCY(TABLE user_events PARTITION BY country, DESCRIPTOR(event_time), INTERVAL '30' SECOND))
