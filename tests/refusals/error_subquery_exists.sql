/*
title = "Refused"
*/
SELECT window_start, window_end, COUNT(*) AS n
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) e
WHERE event_type = 'chat.message_sent'
  AND EXISTS (
    SELECT 1 FROM user_events s
    WHERE s.stream_id = e.stream_id) -- here
GROUP BY window_start, window_end
