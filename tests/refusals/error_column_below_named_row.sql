/*
title = "Refused"
*/
WITH events AS (
  SELECT
    event_time,
    played_ms AS _row -- here
  FROM user_events
)
SELECT window_start, window_end, COUNT(*) AS n
FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end
