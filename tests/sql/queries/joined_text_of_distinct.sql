/*
title = "STRING_AGG of distinct values in order"
keys = ["stream_id"]
*/
SELECT window_start, window_end, stream_id, STRING_AGG(DISTINCT device_type, ' + ' ORDER BY device_type) AS devices
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
WHERE stream_id IS NOT NULL
GROUP BY window_start, window_end, stream_id
