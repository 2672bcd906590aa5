/*
title = "Viewers of the last hour by country, every 10 seconds"
keys = ["country"]
allowed_lateness_secs = 60
*/
SELECT window_start, window_end, country, COUNT(DISTINCT viewer_id) AS viewers
FROM TABLE(HOP(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND, INTERVAL '1' HOUR))
GROUP BY window_start, window_end, country
