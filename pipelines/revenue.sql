/*
title = "Tips and subscription changes by currency, by the minute"
keys = ["currency"]
sinks = ["lake"]
*/
SELECT
  window_start,
  window_end,
  currency,
  COUNT(*) FILTER (WHERE event_type = 'tip.sent') AS tips,
  COALESCE(SUM(amount_minor) FILTER (WHERE event_type = 'tip.sent'), 0) AS amount_minor,
  COUNT(*) FILTER (WHERE event_type = 'user.subscription_changed') AS subscription_changes
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
WHERE event_type IN ('tip.sent', 'user.subscription_changed')
GROUP BY window_start, window_end, currency
