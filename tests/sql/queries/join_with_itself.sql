/*
title = "One windowed result, joined with itself: pairs of streams"
keys = ["a", "b"]
*/
WITH streams AS (SELECT window_start, window_end, stream_id, COUNT(*) AS events, SUM(amount_minor) AS amount_minor
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  WHERE stream_id IS NOT NULL AND currency IS DISTINCT FROM 'XTS'
  GROUP BY window_start, window_end, stream_id)
SELECT x.window_start, x.window_end, x.stream_id AS a, y.stream_id AS b, x.events - y.events AS more
FROM streams x JOIN streams y
ON x.window_start = y.window_start AND x.window_end = y.window_end AND x.stream_id < y.stream_id
