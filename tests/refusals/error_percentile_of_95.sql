/*
title = "x"
keys = []
*/
SELECT window_start, window_end, PERCENTILE(startup_ms, 95) AS p95 -- here
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end
