/*
title = "Refused"
*/
SELECT window_start, window_end, COUNT(*) AS n
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
WHERE stream_id IN (SELECT stream_id FROM user_events WHERE event_type = 'tip.sent') -- here
GROUP BY window_start, window_end
