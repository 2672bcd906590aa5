/*
title = "t"
*/
SELECT window_start, window_end, COUNT(*) AS n
FROM TABLE(TUMBLE(TABLE creators, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) -- here
GROUP BY window_start, window_end
