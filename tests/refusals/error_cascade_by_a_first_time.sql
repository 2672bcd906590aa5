/*
title = "Refused"
*/
WITH minutes AS (
  SELECT window_start, window_end, window_time, country, COUNT(*) AS n
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  GROUP BY window_start, window_end, window_time, country
), totals AS (
  SELECT FIRST_VALUE(window_time) AS rowtime, SUM(n) AS n
  FROM minutes
  GROUP BY window_start, window_end
)
SELECT window_start, window_end, SUM(n) AS n
FROM TABLE(TUMBLE(TABLE totals, DESCRIPTOR(rowtime), INTERVAL '1' HOUR)) -- here
GROUP BY window_start, window_end
