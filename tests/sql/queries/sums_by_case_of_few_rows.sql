/*
title = "CASE on texts: several WHENs, of few rows, as a key"
keys = ["kind"]
*/
SELECT
  window_start, window_end,
  CASE WHEN event_type = 'tip.sent' THEN country WHEN event_type = 'view.error' THEN stream_id ELSE 'other' END AS kind,
  SUM(CASE WHEN event_type = 'tip.sent' THEN 1 WHEN event_type = 'view.error' THEN 10 ELSE 0 END) AS weight,
  SUM(CASE WHEN country = 'DE' THEN amount_minor WHEN country = 'GB' THEN bitrate_kbps ELSE 0 END) AS mixed,
  SUM(CASE WHEN country = 'DE' THEN 1 ELSE 0 END) FILTER (WHERE event_type = 'tip.sent') AS tips_from_germany,
  SUM(CASE WHEN country = 'DE' THEN amount_minor ELSE 0 END) FILTER (WHERE event_type = 'tip.sent') AS tipped_in_germany,
  COUNT(DISTINCT COALESCE(user_id, viewer_id, 'nobody')) FILTER (WHERE event_type = 'tip.sent') AS tippers,
  COUNT(DISTINCT CASE WHEN country IN ('DE', 'GB') THEN viewer_id WHEN country = 'US' THEN session_id END)
    FILTER (WHERE event_type = 'view.error') AS hit
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, 3
