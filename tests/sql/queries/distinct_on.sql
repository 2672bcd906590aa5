/*
title = "DISTINCT ON takes one row of each"
keys = ["device_type"]
*/
SELECT DISTINCT ON (window_start, device_type) window_start, window_end, device_type, country, events
FROM (
  SELECT window_start, window_end, device_type, country, COUNT(*) AS events
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  WHERE device_type IS NOT NULL
  GROUP BY window_start, window_end, device_type, country
)
ORDER BY window_start, device_type, events DESC, country
