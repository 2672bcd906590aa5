/*
title = "Refused"
*/
SELECT window_start, window_end,
  INTERVAL '1' MINUTE AS size, -- here
  COUNT(*) AS n
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end
