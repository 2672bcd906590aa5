/*
title = "AVG of integers, distinct, and weighted"
keys = ["country"]
*/
SELECT
  window_start, window_end, country, AVG(bitrate_kbps) AS bitrate, AVG(DISTINCT bitrate_kbps) AS bitrate_of_each,
  CAST(SUM(CAST(bitrate_kbps AS BIGINT) * played_ms) AS DOUBLE) / NULLIF(SUM(played_ms), 0) AS weighted
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
WHERE event_type = 'view.heartbeat' AND bitrate_kbps IS NOT NULL
GROUP BY window_start, window_end, country
