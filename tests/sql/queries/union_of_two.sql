/*
title = "UNION ALL of two windowed aggregates"
keys = ["what", "name"]
*/
SELECT window_start, window_end, 'country' AS what, country AS name, COUNT(*) AS events
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) WHERE country IS NOT NULL GROUP BY window_start, window_end, country
UNION ALL
SELECT window_start, window_end, 'device' AS what, device_type AS name, COUNT(*) AS events
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) WHERE device_type IS NOT NULL GROUP BY window_start, window_end, device_type
