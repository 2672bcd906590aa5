/*
title = "STRING_AGG in order"
keys = ["stream_id"]
*/
SELECT
  window_start, window_end, stream_id,
  STRING_AGG(event_id, ',' ORDER BY event_time DESC, event_id) AS latest_first,
  STRING_AGG(error_code, ' / ' ORDER BY event_time DESC, event_id) AS errors
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
WHERE stream_id IS NOT NULL
GROUP BY window_start, window_end, stream_id
