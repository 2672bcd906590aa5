/*
title = "Concurrent viewers in total, over five minutes"
keys = []
*/
SELECT window_start, window_end, viewers_min, viewers_max, viewers_current, unique_viewers, viewer_minutes, active_streams_max
FROM TABLE(CONCURRENCY(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '5' MINUTE))
