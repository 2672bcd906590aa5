/*
title = "Columns by the alias of the windowed table"
keys = ["country"]
*/
SELECT w.window_start, w.window_end, w.country, COUNT(*) AS events
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) AS w
GROUP BY w.window_start, w.window_end, w.country
