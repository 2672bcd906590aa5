/*
title = "The bounds of the windows below are keys like others"
keys = ["ten"]
*/
WITH tens AS (
  SELECT window_start AS ten, window_time AS rowtime, country, COUNT(*) AS events
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND))
  GROUP BY window_start, window_end, window_time, country
)
SELECT window_start, window_end, ten, SUM(events) AS events, COUNT(DISTINCT country) AS countries
FROM TABLE(TUMBLE(TABLE tens, DESCRIPTOR(rowtime), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, ten
