/*
title = "Within the allowed lateness the groups that late rows change come once more"
keys = ["stream_id"]
allowed_lateness_secs = 60
*/
SELECT window_start, window_end, stream_id, COUNT(*) AS events, SUM(amount_minor) AS amount_minor, COUNT(DISTINCT user_id) AS users
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
WHERE event_type IN ('tip.sent', 'chat.message_sent')
GROUP BY window_start, window_end, stream_id
