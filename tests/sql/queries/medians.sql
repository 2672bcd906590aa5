/*
title = "MEDIAN, and of distinct values"
keys = ["device_type"]
*/
SELECT window_start, window_end, device_type, MEDIAN(played_ms) AS played, MEDIAN(DISTINCT stall_ms) AS stalled
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '5' MINUTE))
WHERE event_type LIKE 'view.%'
GROUP BY window_start, window_end, device_type
