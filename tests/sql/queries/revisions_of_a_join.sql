/*
title = "A revision of a join: either side may change"
keys = ["user_id"]
allowed_lateness_secs = 100
*/
SELECT
  COALESCE(a.window_start, b.window_start) AS window_start, COALESCE(a.window_end, b.window_end) AS window_end,
  COALESCE(a.user_id, b.user_id) AS user_id, a.n AS tips, b.n AS messages
FROM (
  SELECT window_start, window_end, user_id, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  WHERE event_type = 'tip.sent' GROUP BY window_start, window_end, user_id
) a FULL JOIN (
  SELECT window_start, window_end, user_id, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  WHERE event_type = 'chat.message_sent' GROUP BY window_start, window_end, user_id
) b
ON a.window_start = b.window_start AND a.window_end = b.window_end AND a.user_id IS NOT DISTINCT FROM b.user_id
