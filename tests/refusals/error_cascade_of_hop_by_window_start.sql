/*
title = "Refused"
*/
WITH minutes AS (
  SELECT window_start, COUNT(*) AS events
  FROM TABLE(HOP(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '30' SECOND, INTERVAL '1' MINUTE))
  GROUP BY window_start, window_end
)
SELECT window_start, window_end, MAX(events) AS most
FROM TABLE(TUMBLE(TABLE minutes, DESCRIPTOR(window_start), INTERVAL '1' HOUR)) -- here
GROUP BY window_start, window_end
