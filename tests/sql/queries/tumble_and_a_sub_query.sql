/*
title = "A sub-query between the windows and the aggregate"
keys = ["kind"]
*/
SELECT window_start, window_end, kind, COUNT(*) AS events
FROM (
  SELECT window_start, window_end, split_part(event_type, '.', 1) AS kind
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  WHERE stream_id IS NOT NULL
)
GROUP BY window_start, window_end, kind
