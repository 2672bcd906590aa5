/*
title = "Minutes of the platform's viewers, tens of these, and hours of tens"
*/
WITH minutes AS (
  SELECT window_time, viewers_max, viewers_avg, active_streams_max
  FROM TABLE(CONCURRENCY(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
),
tens AS (
  SELECT window_time, MAX(viewers_max) AS viewers_max, AVG(viewers_avg) AS viewers_avg, COUNT(*) AS minutes
  FROM TABLE(TUMBLE(TABLE minutes, DESCRIPTOR(window_time), INTERVAL '10' MINUTE))
  GROUP BY window_start, window_end, window_time
)
SELECT window_start, window_end, MAX(viewers_max) AS viewers_max, AVG(viewers_avg) AS viewers_avg, SUM(minutes) AS minutes
FROM TABLE(HOP(TABLE tens, DESCRIPTOR(window_time), INTERVAL '30' MINUTE, INTERVAL '1' HOUR))
GROUP BY window_start, window_end
