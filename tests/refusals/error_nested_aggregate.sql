/*
title = "Refused"
*/
SELECT window_start, window_end, MAX(COUNT(*)) AS n -- here
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end
