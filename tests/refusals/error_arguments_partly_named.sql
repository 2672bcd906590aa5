/*
title = "Refused"
*/
SELECT window_start, window_end, COUNT(*) AS events
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), SIZE => INTERVAL '1' MINUTE)) -- here
GROUP BY window_start, window_end
