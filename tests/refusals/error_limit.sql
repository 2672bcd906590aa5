/*
title = "Refused"
*/
SELECT window_start, window_end, stream_id
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
WHERE fatal
LIMIT 10 -- here
