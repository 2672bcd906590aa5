/*
title = "A comparison with a scalar sub-query over the same window"
keys = ["stream_id"]
*/
WITH streams AS (SELECT window_start, window_end, stream_id, COUNT(*) AS events, SUM(amount_minor) AS amount_minor
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  WHERE stream_id IS NOT NULL AND currency IS DISTINCT FROM 'XTS'
  GROUP BY window_start, window_end, stream_id)
SELECT window_start, window_end, stream_id, events
FROM streams s
WHERE events > (SELECT AVG(events) FROM streams a WHERE a.window_start = s.window_start AND a.window_end = s.window_end
  GROUP BY a.window_start, a.window_end)
