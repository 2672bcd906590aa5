/*
title = "Refused"
*/
WITH minutes AS (
  SELECT MAX(event_time) AS event_time, COUNT(*) AS events
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  GROUP BY window_start, window_end
)
SELECT window_start, window_end, MAX(events) AS most
FROM TABLE(TUMBLE(TABLE minutes, DESCRIPTOR(event_time), INTERVAL '1' HOUR)) -- here
GROUP BY window_start, window_end
