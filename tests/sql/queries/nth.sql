/*
title = "NTH_VALUE by an order, over all shards"
keys = ["stream_id"]
*/
SELECT
  window_start, window_end, stream_id,
  NTH_VALUE(event_id, 2 ORDER BY event_time, event_id) AS second,
  NTH_VALUE(event_id, -1 ORDER BY event_time, event_id) AS latest
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
WHERE stream_id IS NOT NULL
GROUP BY window_start, window_end, stream_id
