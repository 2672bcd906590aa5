/*
title = "Viewers by stream, by country and in total, by the minute"
keys = ["of", "name"]
*/
SELECT window_start, window_end, 'stream' AS "of", stream_id AS name, viewers_avg, unique_viewers
FROM TABLE(CONCURRENCY(TABLE user_events PARTITION BY stream_id, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
UNION ALL
SELECT window_start, window_end, 'country', country, viewers_avg, unique_viewers
FROM TABLE(CONCURRENCY(TABLE user_events PARTITION BY country, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
UNION ALL
SELECT window_start, window_end, 'all', NULL, viewers_avg, unique_viewers
FROM TABLE(CONCURRENCY(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
