/*
title = "The same rows, for which nothing is waited"
keys = ["event_type"]
watermark_delay_secs = 0
*/
SELECT window_start, window_end, event_type, COUNT(*) AS n, MIN(event_time) AS first, MAX(event_time) AS last
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '5' SECOND))
GROUP BY window_start, window_end, event_type
