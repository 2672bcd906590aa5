/*
title = "A value out of the JSON text of properties, by regular expressions"
keys = ["event_id"]
*/
SELECT
  window_start, window_end, event_id,
  CAST(regexp_replace(MAX(properties), '^.*"likes":([0-9]+).*$', '\1') AS BIGINT) AS likes,
  MAX(properties) AS properties
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
WHERE event_type = 'chat.message_sent' AND properties IS NOT NULL
GROUP BY window_start, window_end, event_id
