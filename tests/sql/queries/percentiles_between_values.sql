/*
title = "PERCENTILE_CONT interpolates"
keys = ["device_type"]
*/
SELECT
  window_start, window_end, device_type,
  percentile_cont(0.5) WITHIN GROUP (ORDER BY CAST(played_ms AS DOUBLE)) AS p50,
  percentile_cont(0.75) WITHIN GROUP (ORDER BY CAST(played_ms AS DOUBLE)) AS p75
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '5' MINUTE))
WHERE event_type = 'view.heartbeat'
GROUP BY window_start, window_end, device_type
