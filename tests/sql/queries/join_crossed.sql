/*
title = "Every pair of groups of a window: CROSS JOIN"
keys = ["a", "b"]
*/
SELECT a.window_start, a.window_end, a.currency AS a, b.currency AS b, a.tips * b.tips AS pairs
FROM (SELECT window_start, window_end, currency, COUNT(*) AS tips FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) WHERE event_type = 'tip.sent' GROUP BY window_start, window_end, currency) a
CROSS JOIN (SELECT window_start, window_end, currency, COUNT(*) AS tips FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) WHERE event_type = 'tip.sent' GROUP BY window_start, window_end, currency) b
WHERE a.window_start = b.window_start AND a.currency < b.currency
