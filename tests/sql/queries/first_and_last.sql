/*
title = "FIRST_VALUE and LAST_VALUE by an order that decides ties"
keys = ["stream_id"]
*/
SELECT
  window_start, window_end, stream_id,
  FIRST_VALUE(event_type ORDER BY event_time, event_id) AS first_type,
  LAST_VALUE(event_type ORDER BY event_time, event_id) AS last_type,
  FIRST_VALUE(user_id ORDER BY amount_minor DESC, event_id) FILTER (WHERE event_type = 'tip.sent') AS most_generous,
  LAST_VALUE(amount_minor ORDER BY event_time, event_id) FILTER (WHERE amount_minor > 0) AS last_amount,
  FIRST_VALUE(event_time ORDER BY event_time DESC) AS latest
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
WHERE stream_id IS NOT NULL
GROUP BY window_start, window_end, stream_id
