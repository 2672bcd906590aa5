/*
title = "NULL is a group of its own, apart from empty text"
keys = ["source", "country"]
*/
SELECT window_start, window_end, source, country, COUNT(*) AS events
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, source, country
