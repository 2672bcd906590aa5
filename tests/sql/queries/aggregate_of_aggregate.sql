/*
title = "An aggregate over the groups of a window"
keys = []
*/
SELECT
  window_start, window_end, COUNT(*) AS streams, AVG(events) AS events_avg, MAX(events) AS events_max,
  SUM(amount_minor) AS amount_minor, STRING_AGG(stream_id, ',' ORDER BY events DESC, stream_id) AS streams_in_order
FROM (SELECT window_start, window_end, stream_id, COUNT(*) AS events, SUM(amount_minor) AS amount_minor
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  WHERE stream_id IS NOT NULL AND currency IS DISTINCT FROM 'XTS'
  GROUP BY window_start, window_end, stream_id)
GROUP BY window_start, window_end
HAVING COUNT(*) > 1
