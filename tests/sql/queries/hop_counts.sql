/*
title = "Windows of a minute every 20 seconds, with whatever aggregates are merged"
keys = ["country"]
*/
SELECT window_start, window_end, window_time, country,
  COUNT(*) AS n,
  COUNT(DISTINCT viewer_id) AS viewers,
  COUNT(DISTINCT bitrate_kbps) FILTER (WHERE event_type = 'view.heartbeat') AS rates,
  SUM(DISTINCT startup_ms) AS startups,
  PERCENTILE(startup_ms, 0.9) AS startup_p90,
  STRING_AGG(event_id, ',' ORDER BY event_time, event_id) AS events,
  FIRST_VALUE(event_type ORDER BY event_time, event_id) AS first_type,
  MEDIAN(bitrate_kbps) FILTER (WHERE bitrate_kbps > 0) AS bitrate
FROM TABLE(HOP(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '20' SECOND, INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, window_time, country
