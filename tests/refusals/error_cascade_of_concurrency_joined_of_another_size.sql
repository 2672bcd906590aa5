/*
title = "Refused"
*/
WITH tens AS (
  SELECT window_start, window_end, window_time, viewers_max
  FROM TABLE(CONCURRENCY(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND))
),
minutes AS (
  SELECT window_start, window_end, COUNT(*) AS events
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) -- here
  GROUP BY window_start, window_end
),
both AS (
  SELECT t.window_time, t.viewers_max, m.events FROM tens t JOIN minutes m ON t.window_end = m.window_end
)
SELECT window_start, window_end, MAX(viewers_max) AS viewers_peak, SUM(events) AS events
FROM TABLE(TUMBLE(TABLE both, DESCRIPTOR(window_time), INTERVAL '1' HOUR))
GROUP BY window_start, window_end
