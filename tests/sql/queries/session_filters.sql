/*
title = "Sessions by user: filtered counts, and what goes by an order"
keys = ["user_id"]
*/
SELECT window_start, window_end, user_id,
  COUNT(*) FILTER (WHERE event_type = 'tip.sent') AS tips,
  SUM(amount_minor) FILTER (WHERE currency = 'EUR') AS cents,
  FIRST_VALUE(event_type ORDER BY event_time, event_id) AS began_with,
  ARRAY_AGG(event_id ORDER BY event_time DESC, event_id) AS events,
  STRING_AGG(country, ',' ORDER BY event_id) FILTER (WHERE country IS NOT NULL) AS countries
FROM TABLE(SESSION(TABLE user_events PARTITION BY user_id, DESCRIPTOR(event_time), INTERVAL '45' SECOND))
WHERE user_id IS NOT NULL
GROUP BY window_start, window_end, user_id
