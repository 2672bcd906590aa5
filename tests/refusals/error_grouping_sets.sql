/*
title = "Refused"
*/
SELECT window_start, window_end, country, platform, COUNT(*) AS n
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY GROUPING SETS ((window_start, window_end, country), (window_start, window_end, platform)) -- here
