/*
title = "Refused"
*/
WITH minutes AS (
  SELECT window_start AS minute, window_end AS next, window_time AS rowtime, COUNT(*) AS events
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  GROUP BY window_start, window_end, window_time
)
SELECT
  minute AS window_start, -- here
  next AS window_end,
  SUM(events) AS events
FROM TABLE(TUMBLE(TABLE minutes, DESCRIPTOR(rowtime), INTERVAL '1' HOUR))
GROUP BY window_start, window_end, minute, next
