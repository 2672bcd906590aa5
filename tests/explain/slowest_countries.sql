/*
title = "The three countries that start slowest, by the minute"
*/
SELECT window_start, window_end, country, PERCENTILE(startup_ms, 0.5) AS startup_ms_p50
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, country
HAVING COUNT(*) > 100
ORDER BY startup_ms_p50 DESC, country
LIMIT 3
