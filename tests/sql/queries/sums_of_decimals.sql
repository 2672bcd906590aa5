/*
title = "SUM, MIN and AVG of decimals"
keys = ["currency"]
*/
SELECT
  window_start, window_end, currency, SUM(CAST(amount_minor AS DECIMAL(20, 2)) / 100) AS amount,
  MIN(CAST(amount_minor AS DECIMAL(20, 2))) AS smallest, AVG(CAST(amount_minor AS DECIMAL(20, 2))) AS average,
  COUNT(DISTINCT CAST(amount_minor AS DECIMAL(20, 2))) AS amounts
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '5' MINUTE))
WHERE event_type = 'tip.sent'
GROUP BY window_start, window_end, currency
