/*
title = "UNION drops rows that are equal"
keys = ["name"]
*/
SELECT window_start, window_end, user_id AS name FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) WHERE event_type = 'tip.sent' GROUP BY window_start, window_end, user_id
UNION
SELECT window_start, window_end, user_id AS name FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) WHERE event_type = 'user.logged_in' GROUP BY window_start, window_end, user_id
