/*
title = "HAVING on aggregates that are selected or not"
keys = ["stream_id"]
*/
SELECT window_start, window_end, stream_id, COUNT(*) AS events
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
WHERE stream_id IS NOT NULL
GROUP BY window_start, window_end, stream_id
HAVING COUNT(*) >= 4 AND COUNT(DISTINCT event_type) > 2 OR MAX(country) = 'SE'
