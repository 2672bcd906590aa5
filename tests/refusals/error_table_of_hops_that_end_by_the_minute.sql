/*
title = "Refused"
*/
WITH minutes AS (
  SELECT window_end AS minute, window_time AS rowtime, COUNT(*) AS events
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  GROUP BY window_start, window_end, window_time
)
SELECT
  window_start,
  MAX(CASE WHEN events > 9 THEN COALESCE(minute, window_end) END) AS window_end, -- here
  SUM(events) AS events
FROM (
  SELECT window_start, window_end, minute, SUM(events) AS events
  FROM TABLE(HOP(TABLE minutes, DESCRIPTOR(rowtime), INTERVAL '10' MINUTE, INTERVAL '1' HOUR))
  GROUP BY window_start, window_end, minute
) hours
GROUP BY window_start, window_end
