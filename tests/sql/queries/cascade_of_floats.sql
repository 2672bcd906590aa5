/*
title = "Sums of floats over windows are the same however the rows came"
keys = ["source"]
*/
WITH tens AS (
  SELECT window_time, source, event_type, stream_id, country, CAST(COUNT(*) AS DOUBLE) / 7 AS sevenths
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND))
  GROUP BY window_start, window_end, window_time, source, event_type, stream_id, country
)
SELECT window_start, window_end, source, SUM(sevenths) AS sum_of_sevenths, AVG(sevenths) AS avg_of_sevenths, STDDEV(sevenths) AS spread,
  COUNT(*) AS numbers
FROM TABLE(HOP(TABLE tens, DESCRIPTOR(window_time), INTERVAL '1' MINUTE, INTERVAL '3' MINUTE))
GROUP BY window_start, window_end, source
