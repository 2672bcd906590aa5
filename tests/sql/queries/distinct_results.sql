/*
title = "DISTINCT over the result"
keys = ["events"]
*/
SELECT DISTINCT window_start, window_end, events
FROM (SELECT window_start, window_end, stream_id, COUNT(*) AS events, SUM(amount_minor) AS amount_minor
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  WHERE stream_id IS NOT NULL AND currency IS DISTINCT FROM 'XTS'
  GROUP BY window_start, window_end, stream_id)
