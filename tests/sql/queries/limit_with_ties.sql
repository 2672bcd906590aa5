/*
title = "ORDER BY … LIMIT whose order leaves ties to the keys"
keys = ["event_type"]
*/
SELECT window_start, window_end, event_type, COUNT(*) AS events
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, event_type
ORDER BY events
LIMIT 2
