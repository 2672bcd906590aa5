/*
title = "A group's share of the total, by a function OVER the window"
keys = ["currency"]
*/
SELECT
  window_start, window_end, currency, COUNT(*) AS tips, SUM(COUNT(*)) OVER (PARTITION BY window_start, window_end) AS of_all,
  CAST(COUNT(*) AS DOUBLE) / SUM(COUNT(*)) OVER (PARTITION BY window_start, window_end) AS share
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
WHERE event_type = 'tip.sent'
GROUP BY window_start, window_end, currency
