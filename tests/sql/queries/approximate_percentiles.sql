/*
title = "Percentiles of a sketch, which has every value while they are few"
keys = ["device_type"]
*/
SELECT
  window_start, window_end, device_type, APPROX_MEDIAN(played_ms) AS p50,
  approx_percentile_cont(0.9) WITHIN GROUP (ORDER BY played_ms) AS p90,
  approx_percentile_cont_with_weight(1, 0.5) WITHIN GROUP (ORDER BY CAST(stall_ms AS DOUBLE)) AS stalled
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
WHERE event_type = 'view.heartbeat'
GROUP BY window_start, window_end, device_type
