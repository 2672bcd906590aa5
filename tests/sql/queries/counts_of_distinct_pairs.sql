/*
title = "Distinct pairs, as one text"
keys = []
*/
SELECT
  window_start, window_end,
  COUNT(DISTINCT concat_ws('/', stream_id, session_id)) AS sessions,
  COUNT(DISTINCT country || ' ' || device_type) AS pairs
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end
