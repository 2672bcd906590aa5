/*
title = "Start-up time, stalls and errors by country, device and CDN, by the minute"
keys = ["country", "device_type", "cdn"]
sinks = ["lake"]
*/
SELECT
  window_start,
  window_end,
  country,
  device_type,
  cdn,
  COUNT(*) FILTER (WHERE event_type = 'view.started') AS starts,
  PERCENTILE(startup_ms, 0.5) FILTER (WHERE event_type = 'view.started') AS startup_ms_p50,
  PERCENTILE(startup_ms, 0.95) FILTER (WHERE event_type = 'view.started') AS startup_ms_p95,
  COALESCE(SUM(stall_ms) FILTER (WHERE event_type IN ('view.started', 'view.heartbeat')), 0) AS stall_ms,
  COALESCE(SUM(played_ms) FILTER (WHERE event_type IN ('view.started', 'view.heartbeat')), 0) AS played_ms,
  CAST(COALESCE(SUM(stall_ms) FILTER (WHERE event_type IN ('view.started', 'view.heartbeat')), 0) AS DOUBLE)
    / NULLIF(
        COALESCE(SUM(played_ms) FILTER (WHERE event_type IN ('view.started', 'view.heartbeat')), 0)
          + COALESCE(SUM(stall_ms) FILTER (WHERE event_type IN ('view.started', 'view.heartbeat')), 0),
        0) AS rebuffer_ratio,
  COUNT(*) FILTER (WHERE event_type = 'view.error') AS errors,
  COUNT(*) FILTER (WHERE event_type = 'view.error' AND fatal) AS fatal_errors
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
WHERE event_type IN ('view.started', 'view.heartbeat', 'view.error')
GROUP BY window_start, window_end, country, device_type, cdn
