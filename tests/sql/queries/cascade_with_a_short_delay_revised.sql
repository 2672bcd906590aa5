/*
title = "Three levels that wait for 5 seconds, and what came within two minutes more"
keys = ["stream_id"]
watermark_delay_secs = 5
allowed_lateness_secs = 120
*/
WITH tens AS (
  SELECT window_time AS rowtime, stream_id, COUNT(*) AS events
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND))
  GROUP BY window_start, window_end, window_time, stream_id
),
halves AS (
  SELECT window_time AS rowtime, stream_id, MAX(events) AS most, SUM(events) AS events
  FROM TABLE(TUMBLE(TABLE tens, DESCRIPTOR(rowtime), INTERVAL '30' SECOND))
  GROUP BY window_start, window_end, window_time, stream_id
)
SELECT window_start, window_end, stream_id, COUNT(*) AS halves, SUM(events) AS twice_the_events, MAX(most) AS most
FROM TABLE(HOP(TABLE halves, DESCRIPTOR(rowtime), INTERVAL '30' SECOND, INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, stream_id
