/*
title = "Of rows that are joined with a lookup table and equally many the keys decide"
keys = ["country"]
*/
SELECT window_start, window_end, e.country, n, m.market
FROM (
  SELECT window_start, window_end, country, COUNT(*) AS n
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  GROUP BY window_start, window_end, country
) e
LEFT JOIN markets m ON m.country = e.country
ORDER BY n > 0
LIMIT 3
