/*
title = "The greatest group of each window that hops"
keys = ["place"]
*/
SELECT window_start, window_end, place, event_type, n
FROM (
  SELECT window_start, window_end, event_type, COUNT(*) AS n,
    ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY COUNT(*) DESC, event_type) AS place
  FROM TABLE(HOP(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '20' SECOND, INTERVAL '1' MINUTE))
  WHERE country IS NOT NULL
  GROUP BY window_start, window_end, event_type
)
WHERE place <= 2
