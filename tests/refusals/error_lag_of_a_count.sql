/*
title = "Refused"
*/
SELECT window_start, window_end, COUNT(*) AS n, LAG(COUNT(*)) OVER (ORDER BY window_start) AS before -- here
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND))
GROUP BY window_start, window_end
