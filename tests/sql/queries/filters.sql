/*
title = "FILTER on every kind of aggregate"
keys = ["country"]
*/
SELECT
  window_start, window_end, country,
  COUNT(*) FILTER (WHERE event_type = 'tip.sent') AS tips,
  COUNT(*) FILTER (WHERE event_type <> 'tip.sent' AND amount_minor IS NULL) AS others,
  SUM(amount_minor) FILTER (WHERE amount_minor > 0 AND currency <> 'XTS') AS given,
  COUNT(DISTINCT session_id) FILTER (WHERE event_type = 'view.started') AS started,
  COUNT(DISTINCT amount_minor) FILTER (WHERE event_type = 'tip.sent') AS amounts,
  PERCENTILE(startup_ms, 0.5) FILTER (WHERE startup_ms < 2000) AS startup,
  AVG(stall_ms) FILTER (WHERE fatal IS NULL) AS stalled,
  MAX(error_code) FILTER (WHERE fatal) AS fatal_code
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, country
