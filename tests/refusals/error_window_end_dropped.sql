/*
title = "Refused"
*/
SELECT s AS window_start, s AS window_end, COUNT(*) AS n
FROM (SELECT window_start AS s FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)))
GROUP BY s -- here
