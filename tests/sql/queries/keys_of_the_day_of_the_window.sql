/*
title = "The days of a window's bounds out of a sub-query, as keys beside the bounds"
keys = ["start_of", "end_of", "country"]
*/
SELECT window_start, window_end, start_of, end_of, country, COUNT(*) AS n
FROM (
  SELECT CAST(window_end AS DATE) AS end_of, CAST(window_start AS DATE) AS start_of, window_start, window_end, country
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
)
GROUP BY window_start, window_end, start_of, end_of, country
