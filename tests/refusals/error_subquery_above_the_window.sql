/*
title = "Refused"
*/
SELECT window_start, window_end, stream_id, COUNT(*) AS n
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, stream_id
HAVING stream_id NOT IN (SELECT stream_id FROM user_events WHERE event_type = 'stream.ended') -- here
