/*
title = "Refused"
*/
SELECT MIN(window_start) AS window_start, MAX(window_end) AS window_end, CAST(window_end AS DATE) AS date, SUM(n) AS n -- here
FROM (
  SELECT window_start, window_end, COUNT(*) AS n
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  GROUP BY window_start, window_end
)
GROUP BY CAST(window_end AS DATE)
