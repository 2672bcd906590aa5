/*
title = "ROW_NUMBER whose order leaves ties to the keys"
keys = ["place"]
*/
SELECT window_start, window_end, place, event_type, country, events
FROM (
  SELECT window_start, window_end, event_type, country, COUNT(*) AS events,
    ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY COUNT(*) DESC) AS place
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  GROUP BY window_start, window_end, event_type, country
)
WHERE place <= 3
