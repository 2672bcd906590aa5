/*
title = "Sessions by user of the rows that WHERE lets through, beside those of all rows with the same rows counted"
keys = ["user_id", "side"]
*/
SELECT window_start, window_end, user_id, 'where' AS side, COUNT(*) AS counted
FROM TABLE(SESSION(TABLE user_events PARTITION BY user_id, DESCRIPTOR(event_time), INTERVAL '45' SECOND))
WHERE event_type <> 'chat.message_sent'
GROUP BY window_start, window_end, user_id
UNION ALL
SELECT window_start, window_end, user_id, 'filter' AS side, COUNT(*) FILTER (WHERE event_type <> 'chat.message_sent') AS counted
FROM TABLE(SESSION(TABLE user_events PARTITION BY user_id, DESCRIPTOR(event_time), INTERVAL '45' SECOND))
GROUP BY window_start, window_end, user_id
