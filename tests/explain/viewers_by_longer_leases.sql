/*
title = "Concurrent viewers by country, where a heartbeat holds for 90 seconds"
keys = ["country"]
*/
SELECT window_start, window_end, country, viewers_avg, viewers_max
FROM TABLE(CONCURRENCY(
  TABLE user_events PARTITION BY country,
  DESCRIPTOR(event_time),
  INTERVAL '1' MINUTE,
  SESSION_TIMEOUT => INTERVAL '90' SECOND
))
