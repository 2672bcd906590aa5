/*
title = "Sessions that are waited for longer"
keys = ["session_id"]
watermark_delay_secs = 120
*/
SELECT window_start, window_end, session_id, COUNT(*) AS n
FROM TABLE(SESSION(TABLE user_events PARTITION BY session_id, DESCRIPTOR(event_time), INTERVAL '20' SECOND))
WHERE event_type LIKE 'view.%'
GROUP BY window_start, window_end, session_id
