/*
title = "Refused"
*/
WITH minutes AS (
  SELECT window_time AS t, MAX(event_time) AS latest, COUNT(*) AS events
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  GROUP BY window_start, window_end, window_time
)
SELECT window_start, window_end, MAX(events) AS most
FROM TABLE(TUMBLE(TABLE minutes, DESCRIPTOR(latest), INTERVAL '1' HOUR)) -- here
GROUP BY window_start, window_end
