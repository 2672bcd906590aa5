/*
title = "Concurrent viewers of each stream by country, every 15 seconds"
keys = ["stream_id", "country"]
*/
SELECT window_start, window_end, stream_id, country, viewers_max, viewer_minutes
FROM TABLE(CONCURRENCY(TABLE user_events PARTITION BY stream_id, country, DESCRIPTOR(event_time), INTERVAL '15' SECOND))
WHERE country IS NOT NULL
