/*
title = "APPROX_DISTINCT: its sketches merge exactly"
keys = ["country"]
*/
SELECT
  window_start, window_end, country, APPROX_DISTINCT(session_id) AS sessions, APPROX_DISTINCT(event_time) AS instants,
  APPROX_DISTINCT(amount_minor) AS amounts
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '5' MINUTE))
GROUP BY window_start, window_end, country
