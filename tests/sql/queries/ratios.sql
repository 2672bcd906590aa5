/*
title = "Expressions over aggregates: ratios that are NULL on nothing"
keys = ["country"]
*/
SELECT
  window_start, window_end, country,
  CAST(SUM(stall_ms) AS DOUBLE) / NULLIF(SUM(stall_ms) + SUM(played_ms), 0) AS rebuffer_ratio,
  COUNT(*) FILTER (WHERE event_type = 'view.error') / COUNT(*) AS whole_quotient,
  100 * COUNT(*) FILTER (WHERE event_type = 'view.error') / COUNT(*) AS percent,
  CASE WHEN SUM(stall_ms) > 2000 THEN 'bad' WHEN SUM(stall_ms) > 0 THEN 'fair' ELSE 'good' END AS verdict
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
WHERE event_type LIKE 'view.%'
GROUP BY window_start, window_end, country
