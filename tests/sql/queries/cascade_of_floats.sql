/*
title = "Sums of floats over windows are the same however the windows came"
*/
WITH tens AS (
  SELECT window_time AS rowtime, stream_id, country, device_type, AVG(live_latency_ms) / 7 AS position
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND))
  GROUP BY window_start, window_end, window_time, stream_id, country, device_type
)
SELECT window_start, window_end, SUM(position) AS sum_of_sevenths, AVG(position) AS avg_of_sevenths
FROM TABLE(TUMBLE(TABLE tens, DESCRIPTOR(rowtime), INTERVAL '1' HOUR))
GROUP BY window_start, window_end
