/*
title = "Windows that overlap, with a delay of their own"
keys = ["event_type"]
watermark_delay_secs = 90
*/
SELECT window_start, window_end, event_type, COUNT(*) AS n
FROM TABLE(HOP(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '30' SECOND, INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, event_type
