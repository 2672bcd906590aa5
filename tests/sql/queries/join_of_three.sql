/*
title = "A join of three windowed results"
keys = ["stream_id"]
*/
WITH views AS (SELECT window_start, window_end, stream_id, COUNT(DISTINCT session_id) AS n FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) WHERE event_type LIKE 'view.%' GROUP BY window_start, window_end, stream_id),
chats AS (SELECT window_start, window_end, stream_id, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) WHERE event_type = 'chat.message_sent' GROUP BY window_start, window_end, stream_id),
tips AS (SELECT window_start, window_end, stream_id, SUM(amount_minor) AS n FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) WHERE event_type = 'tip.sent' GROUP BY window_start, window_end, stream_id)
SELECT v.window_start, v.window_end, v.stream_id, v.n AS sessions, c.n AS messages, t.n AS amount_minor
FROM views v
LEFT JOIN chats c ON v.window_start = c.window_start AND v.window_end = c.window_end AND v.stream_id = c.stream_id
LEFT JOIN tips t ON v.window_start = t.window_start AND v.window_end = t.window_end AND v.stream_id = t.stream_id
