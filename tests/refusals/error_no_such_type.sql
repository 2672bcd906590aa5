/*
title = "Refused"
*/
SELECT window_start, window_end, SUM(CAST(played_ms AS MONEY)) AS n -- here
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end
