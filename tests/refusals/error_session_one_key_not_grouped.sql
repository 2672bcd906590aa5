/*
title = "Refused"
*/
SELECT window_start, window_end, country, COUNT(*) AS events
FROM TABLE(SESSION(TABLE user_events PARTITION BY stream_id, country, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, country -- here
