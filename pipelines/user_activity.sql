/*
title = "Registrations, logins and subscription changes, by the minute"
keys = []
sinks = ["lake"]
*/
SELECT
  window_start,
  window_end,
  COUNT(*) FILTER (WHERE event_type = 'user.registered') AS registrations,
  COUNT(*) FILTER (WHERE event_type = 'user.logged_in') AS logins,
  COUNT(*) FILTER (WHERE event_type = 'user.subscription_changed') AS subscription_changes
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
WHERE event_type IN ('user.registered', 'user.logged_in', 'user.subscription_changed')
GROUP BY window_start, window_end
