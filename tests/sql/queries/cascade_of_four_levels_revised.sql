/*
title = "Four levels, with rows within the allowed lateness"
allowed_lateness_secs = 60
keys = ["stream_id"]
*/
WITH seconds AS (
  SELECT window_time, stream_id, COUNT(*) AS events
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' SECOND))
  GROUP BY window_start, window_end, window_time, stream_id
),
tens AS (
  SELECT window_time, stream_id, MAX(events) AS most, SUM(events) AS events
  FROM TABLE(TUMBLE(TABLE seconds, DESCRIPTOR(window_time), INTERVAL '10' SECOND))
  GROUP BY window_start, window_end, window_time, stream_id
),
minutes AS (
  SELECT window_time, stream_id, AVG(most) AS most, SUM(events) AS events
  FROM TABLE(HOP(TABLE tens, DESCRIPTOR(window_time), INTERVAL '30' SECOND, INTERVAL '1' MINUTE))
  GROUP BY window_start, window_end, window_time, stream_id
)
SELECT window_start, window_end, stream_id, MAX(most) AS most, SUM(events) AS twice_the_events, COUNT(*) AS minutes
FROM TABLE(TUMBLE(TABLE minutes, DESCRIPTOR(window_time), INTERVAL '2' MINUTE))
GROUP BY window_start, window_end, stream_id
