/*
title = "Visits of viewers by country, of three events at least"
keys = ["viewer_id", "country"]
*/
SELECT window_start, window_end, viewer_id, country, COUNT(*) AS events, COUNT(DISTINCT stream_id) AS streams
FROM TABLE(SESSION(TABLE user_events PARTITION BY viewer_id, DESCRIPTOR(event_time), INTERVAL '30' MINUTE))
WHERE viewer_id IS NOT NULL
GROUP BY window_start, window_end, viewer_id, country
HAVING COUNT(*) > 2
