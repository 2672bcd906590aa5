/*
title = "Counts and sums of groups in which every value is NULL"
keys = ["event_type"]
*/
SELECT
  window_start, window_end, event_type, COUNT(amount_minor) AS amounts, COUNT(DISTINCT currency) AS currencies,
  SUM(amount_minor) AS total, COALESCE(SUM(amount_minor), 0) AS total_or_zero, AVG(amount_minor) AS average,
  MIN(currency) AS first_currency, PERCENTILE(amount_minor, 0.5) AS middle
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
WHERE event_type IN ('user.logged_in', 'chat.message_sent', 'user.subscription_changed')
GROUP BY window_start, window_end, event_type
