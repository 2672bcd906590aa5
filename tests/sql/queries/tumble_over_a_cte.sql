/*
title = "Windows over a sub-query of the WITH clause"
keys = ["currency"]
*/
WITH tips AS (
  SELECT event_time, COALESCE(currency, 'none') AS currency, amount_minor
  FROM user_events
  WHERE event_type = 'tip.sent' AND amount_minor > 0
)
SELECT window_start, window_end, currency, COUNT(*) AS tips, SUM(amount_minor) AS amount_minor
FROM TABLE(TUMBLE(TABLE tips, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, currency
