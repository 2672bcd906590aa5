/*
title = "Groups for which another windowed result has a row: EXISTS"
keys = ["user_id"]
*/
WITH tips AS (SELECT window_start, window_end, user_id, COUNT(*) AS tips FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '5' MINUTE)) WHERE event_type = 'tip.sent' GROUP BY window_start, window_end, user_id),
chats AS (SELECT window_start, window_end, user_id FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '5' MINUTE)) WHERE event_type = 'chat.message_sent' GROUP BY window_start, window_end, user_id)
SELECT window_start, window_end, user_id, tips FROM tips
WHERE EXISTS (SELECT 1 FROM chats WHERE chats.window_end = tips.window_end AND chats.user_id = tips.user_id)
