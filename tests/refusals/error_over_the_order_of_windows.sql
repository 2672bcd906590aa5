/*
title = "Refused"
*/
SELECT window_start, window_end, country, n, SUM(n) OVER (PARTITION BY window_end ORDER BY n, country) AS up_to,
  LAG(n) OVER (PARTITION BY country ORDER BY window_start) AS before -- here
FROM (
  SELECT window_start, window_end, country, COUNT(*) AS n
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND))
  GROUP BY window_start, window_end, country
)
