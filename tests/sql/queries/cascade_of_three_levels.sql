/*
title = "Windows of 10 seconds, of which minutes are made, of which hours are made"
*/
WITH tens AS (
  SELECT window_time AS rowtime, country, COUNT(*) AS events
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND))
  GROUP BY window_start, window_end, window_time, country
),
minutes AS (
  SELECT window_time AS rowtime, country, MAX(events) AS most, COUNT(*) AS tens
  FROM TABLE(TUMBLE(TABLE tens, DESCRIPTOR(rowtime), INTERVAL '1' MINUTE))
  GROUP BY window_start, window_end, window_time, country
)
SELECT window_start, window_end, window_time, SUM(most) AS sum_of_most, SUM(tens) AS tens, COUNT(*) AS rows_of_minutes
FROM TABLE(TUMBLE(TABLE minutes, DESCRIPTOR(rowtime), INTERVAL '1' HOUR))
GROUP BY window_start, window_end, window_time
