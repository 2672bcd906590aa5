/*
title = "IN, NOT IN, BETWEEN and comparisons"
keys = ["event_id"]
*/
SELECT window_start, window_end, event_id, MAX(amount_minor) AS amount_minor
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
WHERE event_type IN ('tip.sent', 'user.subscription_changed') AND country NOT IN ('US', 'SE')
  AND amount_minor BETWEEN 250 AND 1000 AND user_id <> 'u5'
GROUP BY window_start, window_end, event_id
