/*
title = "Refused"
*/
SELECT
  window_start,
  window_end,
  viewers_peak -- here
FROM TABLE(CONCURRENCY(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
