/*
title = "A condition that no event meets: a table without rows"
keys = []
*/
SELECT window_start, window_end, COUNT(*) AS events
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
WHERE event_type = 'none'
GROUP BY window_start, window_end
