/*
title = "x"
keys = []
*/
SELECT window_start, window_end, COUNT(*) AS n
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
WHERE event_time > now() - INTERVAL '1 hour' -- here
GROUP BY window_start, window_end
