/*
title = "Refused"
*/
SELECT window_start, window_end,
  PERCENTILE(n, 95) AS p95 -- here
FROM (SELECT window_start, window_end, stream_id, COUNT(*) AS n
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, stream_id)
GROUP BY window_start, window_end
