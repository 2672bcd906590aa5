/*
title = "Refused"
*/
WITH w AS (SELECT window_start, window_end, stream_id, COUNT(*) AS n
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, stream_id)
SELECT a.window_start, a.window_end, a.stream_id,
  b.stream_id -- here
FROM w a JOIN w b ON a.window_start = b.window_start AND a.window_end = b.window_end
