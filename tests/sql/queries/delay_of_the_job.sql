/*
title = "Rows that are late by the watermark of the job"
keys = ["event_type"]
*/
SELECT window_start, window_end, event_type, COUNT(*) AS n, MIN(event_time) AS first, MAX(event_time) AS last
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '5' SECOND))
GROUP BY window_start, window_end, event_type
