/*
title = "GROUP BY places of the SELECT list"
keys = ["device_type"]
*/
SELECT window_start, window_end, device_type, COUNT(*) AS events
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY 1, 2, 3
ORDER BY 1, 3
