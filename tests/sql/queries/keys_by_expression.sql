/*
title = "Groups by CASE and by arithmetic"
keys = ["size", "tenth"]
*/
SELECT
  window_start, window_end,
  CASE WHEN amount_minor >= 1000 THEN 'large' WHEN amount_minor >= 500 THEN 'medium' WHEN amount_minor < 0 THEN 'refund' ELSE 'small' END AS size,
  CAST(date_part('second', event_time) AS INT) / 10 AS tenth,
  COUNT(*) AS tips
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
WHERE event_type = 'tip.sent'
GROUP BY window_start, window_end, size, tenth
