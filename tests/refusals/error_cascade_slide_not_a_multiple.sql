/*
title = "Refused"
*/
WITH minutes AS (
  SELECT window_time, COUNT(*) AS events
  FROM TABLE(HOP(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '30' SECOND, INTERVAL '1' MINUTE))
  GROUP BY window_start, window_end, window_time
)
SELECT window_start, window_end, MAX(events) AS most
FROM TABLE(HOP(TABLE minutes, DESCRIPTOR(window_time), INTERVAL '10' SECOND, INTERVAL '1' HOUR)) -- here
GROUP BY window_start, window_end
