/*
title = "Player errors beside starts by country, every 10 seconds"
keys = ["country"]
allowed_lateness_secs = 10
*/
WITH starts AS (
  SELECT window_start, window_end, country, COUNT(*) AS starts
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND))
  WHERE event_type = 'view.started'
  GROUP BY window_start, window_end, country
),
errors AS (
  SELECT window_start, window_end, country, COUNT(DISTINCT session_id) AS errors
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND))
  WHERE event_type = 'view.error' AND (fatal OR device_type LIKE 'tv%')
  GROUP BY window_start, window_end, country
)
SELECT s.window_start, s.window_end, s.country, starts, COALESCE(errors, 0) AS errors
FROM starts s LEFT JOIN errors e ON s.window_start = e.window_start AND s.country = e.country
