/*
title = "Refused"
*/
WITH minutes AS (
  SELECT window_time, COUNT(*) AS events
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  GROUP BY window_start, window_end, window_time
)
SELECT window_start, window_end, MAX(events) AS most
FROM TABLE(HOP(TABLE minutes, DESCRIPTOR(window_time), INTERVAL '10' MINUTE, INTERVAL '1' HOUR))
WHERE EXTRACT(MINUTE FROM window_start) = 0 -- here
GROUP BY window_start, window_end
