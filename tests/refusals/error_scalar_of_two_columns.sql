/*
title = "Refused"
*/
SELECT window_start, window_end, stream_id, n -- here
FROM (SELECT window_start, window_end, stream_id, COUNT(*) AS n
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, stream_id)
WHERE n > (SELECT 1, 2)
