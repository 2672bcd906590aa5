/*
title = "Concurrent viewers of each stream and its channel, by the minute"
keys = ["stream_id"]
*/
SELECT window_start, window_end, stream_id, channel_id, viewers_min, viewers_avg, viewers_max, viewers_current, unique_viewers, viewer_minutes
FROM TABLE(CONCURRENCY(TABLE user_events PARTITION BY stream_id, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
