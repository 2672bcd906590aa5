/*
title = "A revision of a table without keys"
keys = []
allowed_lateness_secs = 120
*/
SELECT window_start, window_end, COUNT(*) AS events
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end
