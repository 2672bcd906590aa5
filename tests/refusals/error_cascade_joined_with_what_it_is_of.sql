/*
title = "Refused"
*/
WITH minutes AS (
  SELECT window_start, window_end, window_time, COUNT(*) AS events
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  GROUP BY window_start, window_end, window_time
),
hours AS (
  SELECT window_start, window_end, MAX(events) AS most
  FROM TABLE(TUMBLE(TABLE minutes, DESCRIPTOR(window_time), INTERVAL '1' HOUR)) -- here
  GROUP BY window_start, window_end
)
SELECT m.window_start, m.window_end, m.events, h.most
FROM minutes m JOIN hours h ON m.window_start >= h.window_start AND m.window_end <= h.window_end
