/*
title = "Bursts of tips in a channel: two at least within 10 seconds of each other"
keys = ["channel_id"]
*/
SELECT window_start, window_end, window_time, channel_id, COUNT(*) AS tips, SUM(amount_minor) AS amount_minor,
  COUNT(DISTINCT user_id) AS users
FROM TABLE(SESSION(DATA => TABLE user_events PARTITION BY channel_id, TIMECOL => DESCRIPTOR(event_time), GAP => INTERVAL '10' SECOND))
WHERE event_type = 'tip.sent'
GROUP BY window_start, window_end, window_time, channel_id
HAVING COUNT(*) > 1
