/*
title = "Busy minutes of the hour, soon"
keys = ["country"]
watermark_delay_secs = 5
allowed_lateness_secs = 60
*/
WITH tens AS (
  SELECT country, window_time, COUNT(*) AS events
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND))
  WHERE event_type = 'chat.message_sent'
  GROUP BY country, window_start, window_end, window_time
),
minutes AS (
  SELECT country, window_time, SUM(events) AS events, MAX(events) AS most
  FROM TABLE(TUMBLE(TABLE tens, DESCRIPTOR(window_time), INTERVAL '1' MINUTE))
  GROUP BY country, window_start, window_end, window_time
)
SELECT window_start, window_end, country, MAX(events) AS busiest, PERCENTILE(most, 0.5) AS busiest_tens_p50
FROM TABLE(HOP(TABLE minutes, DESCRIPTOR(window_time), INTERVAL '10' MINUTE, INTERVAL '1' HOUR))
WHERE most > 1
GROUP BY window_start, window_end, country
