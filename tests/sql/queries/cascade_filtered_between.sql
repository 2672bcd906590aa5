/*
title = "Conditions and expressions between the levels, and above them"
keys = ["country"]
*/
SELECT window_start, window_end, UPPER(country) AS country, busy_tens, busy_tens * 10 AS busy_seconds, last_busy
FROM (
  SELECT window_start, window_end, country, COUNT(*) AS busy_tens, SUM(doubled) AS doubled, MAX(ten) AS last_busy
  FROM (
    SELECT window_start, window_end, COALESCE(country, '-') AS country, events * 2 AS doubled, ten
    FROM TABLE(TUMBLE(TABLE (
      SELECT window_start AS ten, window_time AS rowtime, country, COUNT(*) AS events
      FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND))
      GROUP BY window_start, window_end, window_time, country
    ), DESCRIPTOR(rowtime), INTERVAL '1' MINUTE))
    WHERE events > 1
  )
  WHERE country <> 'FR' AND ten >= window_start
  GROUP BY window_start, window_end, country
)
WHERE doubled > 4
