/*
title = "INTERSECT and EXCEPT of windowed results"
keys = ["how", "user_id"]
*/
WITH tips AS (SELECT window_start, window_end, user_id FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '5' MINUTE)) WHERE event_type = 'tip.sent' GROUP BY window_start, window_end, user_id),
chats AS (SELECT window_start, window_end, user_id FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '5' MINUTE)) WHERE event_type = 'chat.message_sent' GROUP BY window_start, window_end, user_id)
SELECT window_start, window_end, 'both' AS how, user_id FROM (SELECT * FROM tips INTERSECT SELECT * FROM chats)
UNION ALL
SELECT window_start, window_end, 'tips only' AS how, user_id FROM (SELECT * FROM tips EXCEPT SELECT * FROM chats)
