/*
title = "Refused"
*/
SELECT window_start, window_end, stream_id,
  SUM(n) OVER (ORDER BY n, stream_id RANGE BETWEEN 1 PRECEDING AND CURRENT ROW) AS near -- here
FROM (SELECT window_start, window_end, stream_id, COUNT(*) AS n
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, stream_id)
