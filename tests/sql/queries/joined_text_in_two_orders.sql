/*
title = "STRING_AGG by two orders in one query"
keys = ["stream_id"]
*/
SELECT
  window_start, window_end, stream_id, STRING_AGG(event_id, ',' ORDER BY event_time DESC, event_id) AS latest_first,
  STRING_AGG(event_id, ',' ORDER BY event_id) AS by_name
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
WHERE stream_id IS NOT NULL
GROUP BY window_start, window_end, stream_id
