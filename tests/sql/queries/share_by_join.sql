/*
title = "A group's share of the total, by joining two windowed results"
keys = ["currency"]
*/
WITH each AS (
  SELECT window_start, window_end, currency, COUNT(*) AS tips
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) WHERE event_type = 'tip.sent' GROUP BY window_start, window_end, currency
), total AS (
  SELECT window_start, window_end, COUNT(*) AS tips
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) WHERE event_type = 'tip.sent' GROUP BY window_start, window_end
)
SELECT e.window_start, e.window_end, e.currency, e.tips, t.tips AS of_all, CAST(e.tips AS DOUBLE) / t.tips AS share
FROM each e JOIN total t ON e.window_start = t.window_start AND e.window_end = t.window_end
