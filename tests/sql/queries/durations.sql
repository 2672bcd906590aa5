/*
title = "The difference of two times is a duration"
keys = ["user_id"]
*/
SELECT window_start, window_end, user_id, MAX(event_time) - MIN(event_time) AS span, COUNT(*) AS events
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
WHERE user_id IS NOT NULL
GROUP BY window_start, window_end, user_id
HAVING COUNT(*) > 1
