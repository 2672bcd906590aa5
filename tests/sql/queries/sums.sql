/*
title = "SUM of integers: exact, with refunds, distinct, beyond 2^53"
keys = ["currency"]
*/
SELECT
  window_start, window_end, currency, SUM(amount_minor) AS amount_minor, SUM(DISTINCT amount_minor) AS distinct_amounts,
  SUM(-amount_minor) AS owed, SUM(1) AS tips
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
WHERE event_type = 'tip.sent'
GROUP BY window_start, window_end, currency
