/*
title = "Keys are text in any script"
keys = ["channel_id"]
*/
SELECT window_start, window_end, channel_id, COUNT(*) AS events, character_length(channel_id) AS characters
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '5' MINUTE))
GROUP BY window_start, window_end, channel_id
