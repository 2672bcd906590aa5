/*
title = "NULL in conditions: IS, IS NOT, DISTINCT FROM, three-valued logic"
keys = ["event_type"]
*/
SELECT
  window_start, window_end, event_type, COUNT(*) AS events,
  COUNT(*) FILTER (WHERE country IS NULL) AS nowhere, COUNT(*) FILTER (WHERE country <> 'DE') AS elsewhere,
  COUNT(*) FILTER (WHERE country IS DISTINCT FROM 'DE') AS not_germany,
  COUNT(*) FILTER (WHERE fatal IS NOT TRUE) AS not_fatal, COUNT(*) FILTER (WHERE source = '') AS of_no_name
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
WHERE NOT (viewer_id IS NOT NULL AND session_id IS NULL)
GROUP BY window_start, window_end, event_type
