/*
title = "Refused"
*/
SELECT
  DATE_TRUNC('hour', window_start) AS window_start, -- here
  window_end,
  viewers_max
FROM TABLE(CONCURRENCY(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
