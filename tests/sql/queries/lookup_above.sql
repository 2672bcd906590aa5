/*
title = "A windowed result joined with two lookup tables"
keys = ["country"]
*/
SELECT window_start, window_end, e.country, n, m.market, m.fee * n AS fees
FROM (
  SELECT window_start, window_end, country, COUNT(*) AS n
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  GROUP BY window_start, window_end, country
) e
JOIN markets m ON m.country = e.country
WHERE m.market <> 'isles' 
