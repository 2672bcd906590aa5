/*
title = "Refused"
*/
SELECT
  window_end AS window_start, -- here
  window_start AS window_end,
  COUNT(*) AS n
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end
