/*
title = "SUM and AVG of dyadic floats"
keys = ["country"]
*/
SELECT
  window_start, window_end, country, SUM(CAST(played_ms AS DOUBLE) / 1024) AS played, AVG(CAST(stall_ms AS DOUBLE) / 8) AS stalled
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '5' MINUTE))
WHERE event_type = 'view.heartbeat'
GROUP BY window_start, window_end, country
