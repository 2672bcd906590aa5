/*
title = "A key that the result leaves out"
keys = ["sessions"]
*/
SELECT window_start, window_end, COUNT(DISTINCT session_id) AS sessions
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '5' MINUTE))
WHERE session_id IS NOT NULL
GROUP BY window_start, window_end, stream_id
