/*
title = "Refused"
*/
SELECT -- here
  window_start,
  window_end,
  COUNT(*) FILTER (WHERE fatal > 'no' AND event_time = 7) AS events
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end
