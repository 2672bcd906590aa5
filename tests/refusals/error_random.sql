/*
title = "x"
keys = []
*/
SELECT window_start, window_end, COUNT(*) FILTER (WHERE random() < 0.1) AS sample -- here
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end
