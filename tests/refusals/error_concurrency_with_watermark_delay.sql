/*
title = "Refused"
watermark_delay_secs = 60 # here
*/
SELECT window_start, window_end, viewers_max
FROM TABLE(CONCURRENCY(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
