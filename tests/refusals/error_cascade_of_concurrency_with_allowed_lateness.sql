/*
title = "Refused"
allowed_lateness_secs = 60 # here
*/
SELECT window_start, window_end, MAX(viewers_max) AS viewers_peak
FROM TABLE(TUMBLE(TABLE (
  SELECT window_time, viewers_max
  FROM TABLE(CONCURRENCY(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND))
), DESCRIPTOR(window_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end
