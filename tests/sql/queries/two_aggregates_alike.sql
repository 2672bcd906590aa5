/*
title = "The same aggregate under two names, and within expressions"
keys = ["currency"]
*/
SELECT
  window_start, window_end, currency, SUM(amount_minor) AS total, SUM(amount_minor) AS again,
  SUM(amount_minor) - SUM(amount_minor) AS zero, SUM(amount_minor) * 2 + COUNT(*) AS mixed
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
WHERE event_type = 'tip.sent' AND currency <> 'XTS'
GROUP BY window_start, window_end, currency
