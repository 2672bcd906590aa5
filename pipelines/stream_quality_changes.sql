/*
title = "Quality changes of each stream, by the minute"
keys = ["stream_id"]
sinks = ["lake"]
*/
SELECT
  window_start,
  window_end,
  stream_id,
  COUNT(*) AS changes
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
WHERE event_type = 'stream.quality_changed'
GROUP BY window_start, window_end, stream_id
