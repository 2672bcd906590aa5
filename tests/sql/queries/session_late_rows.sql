/*
title = "A gap so long that what comes late is of a session still"
keys = ["stream_id", "event_type"]
*/
SELECT window_start, window_end, stream_id, event_type, COUNT(*) AS events, MIN(event_id) AS first_id, MAX(event_time) AS last_time
FROM TABLE(SESSION(TABLE user_events PARTITION BY stream_id, DESCRIPTOR(event_time), INTERVAL '2' MINUTE))
GROUP BY window_start, window_end, stream_id, event_type
