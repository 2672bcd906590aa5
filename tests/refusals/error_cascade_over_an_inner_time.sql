/*
title = "Refused"
*/
WITH minutes AS (
  SELECT window_time AS minute, COUNT(*) AS events
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  GROUP BY window_start, window_end, window_time
),
hours AS (
  SELECT minute, MAX(events) AS most
  FROM TABLE(TUMBLE(TABLE minutes, DESCRIPTOR(minute), INTERVAL '1' HOUR))
  GROUP BY window_start, window_end, minute
)
SELECT window_start, window_end, MAX(most) AS most
FROM TABLE(TUMBLE(TABLE hours, DESCRIPTOR(minute), INTERVAL '10' MINUTE)) -- here
GROUP BY window_start, window_end
