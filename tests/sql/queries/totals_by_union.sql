/*
title = "Groups and their total, in one table by UNION ALL"
keys = ["currency"]
*/
WITH tips AS (
  SELECT window_start, window_end, currency, COUNT(*) AS tips, SUM(amount_minor) AS amount_minor
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  WHERE event_type = 'tip.sent' AND currency IS NOT NULL
  GROUP BY window_start, window_end, currency
)
SELECT window_start, window_end, currency, tips, amount_minor FROM tips
UNION ALL
SELECT window_start, window_end, 'all' AS currency, SUM(tips) AS tips, SUM(amount_minor) AS amount_minor
FROM tips
GROUP BY window_start, window_end
