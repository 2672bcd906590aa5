/*
title = "Windows over a sub-query of a sub-query"
keys = ["level"]
*/
WITH views AS (SELECT * FROM user_events WHERE event_type LIKE 'view.%'),
rated AS (SELECT event_time, session_id, bitrate_kbps, bitrate_kbps >= 3000 AS high FROM views WHERE bitrate_kbps IS NOT NULL)
SELECT window_start, window_end, CASE WHEN high THEN 'high' ELSE 'low' END AS level, COUNT(DISTINCT session_id) AS sessions
FROM TABLE(TUMBLE(TABLE rated, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, CASE WHEN high THEN 'high' ELSE 'low' END
