/*
title = "PERCENTILE by nearest rank, from the least to the most"
keys = ["device_type"]
*/
SELECT
  window_start, window_end, device_type, PERCENTILE(played_ms, 0) AS p0, PERCENTILE(played_ms, 0.25) AS p25,
  PERCENTILE(played_ms, 0.5) AS p50, PERCENTILE(played_ms, 0.95) AS p95, PERCENTILE(played_ms, 1) AS p100,
  PERCENTILE(CAST(stall_ms AS DOUBLE) / 4, 0.5) AS stalled
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '5' MINUTE))
WHERE event_type LIKE 'view.%'
GROUP BY window_start, window_end, device_type
