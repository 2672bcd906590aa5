/*
title = "Refused"
*/
SELECT window_start, window_end, MAX(events) AS most
FROM TABLE(TUMBLE(TABLE ( -- here
  SELECT window_end, COUNT(*) AS events
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  GROUP BY window_start, window_end), DESCRIPTOR(window_end), INTERVAL '1' HOUR))
GROUP BY window_start, window_end
