/*
title = "Refused"
*/
SELECT window_start, window_end, stream_id, COUNT(*) AS n
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
WHERE COUNT(*) > 10 -- here
GROUP BY window_start, window_end, stream_id
