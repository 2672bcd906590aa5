/*
title = "FILTER that is never true, or NULL"
keys = []
*/
SELECT
  window_start, window_end,
  COUNT(*) FILTER (WHERE event_type = 'none') AS none_counted,
  SUM(amount_minor) FILTER (WHERE country = 'none') AS none_summed,
  COUNT(*) FILTER (WHERE fatal) AS fatal,
  COUNT(*) FILTER (WHERE NOT fatal) AS not_fatal,
  COUNT(*) FILTER (WHERE NULL) AS of_null
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end
