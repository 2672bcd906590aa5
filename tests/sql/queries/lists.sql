/*
title = "ARRAY_AGG in order, distinct, and with a filter"
keys = ["stream_id"]
*/
SELECT
  window_start, window_end, stream_id,
  ARRAY_AGG(event_id ORDER BY event_time, event_id) AS events,
  ARRAY_AGG(DISTINCT country ORDER BY country) AS countries,
  ARRAY_AGG(amount_minor ORDER BY amount_minor DESC, event_id) FILTER (WHERE event_type = 'tip.sent') AS tips
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
WHERE stream_id IS NOT NULL
GROUP BY window_start, window_end, stream_id
