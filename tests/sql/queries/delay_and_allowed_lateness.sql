/*
title = "Rows that come within a short delay, and once more what came a minute later"
keys = ["event_type"]
watermark_delay_secs = 5
allowed_lateness_secs = 60
*/
SELECT window_start, window_end, event_type, COUNT(*) AS n, MIN(event_time) AS first, MAX(event_time) AS last
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '5' SECOND))
GROUP BY window_start, window_end, event_type
