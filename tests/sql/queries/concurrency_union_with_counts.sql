/*
title = "Viewers and messages of each stream as rows of one table"
keys = ["stream_id", "figure"]
*/
SELECT window_start, window_end, stream_id, 'viewers' AS figure, viewers_max AS value
FROM TABLE(CONCURRENCY(TABLE user_events PARTITION BY stream_id, DESCRIPTOR(event_time), INTERVAL '30' SECOND))
UNION ALL
SELECT window_start, window_end, stream_id, 'messages', COUNT(*)
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '30' SECOND))
WHERE event_type = 'chat.message_sent'
GROUP BY window_start, window_end, stream_id
