/*
title = "A join by USING"
keys = ["user_id"]
*/
SELECT window_start, window_end, user_id, a.tips, b.logins
FROM (SELECT window_start, window_end, user_id, COUNT(*) AS tips FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '5' MINUTE)) WHERE event_type = 'tip.sent' GROUP BY window_start, window_end, user_id) a
JOIN (SELECT window_start, window_end, user_id, COUNT(*) AS logins FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '5' MINUTE)) WHERE event_type = 'user.logged_in' GROUP BY window_start, window_end, user_id) b
USING (window_start, window_end, user_id)
