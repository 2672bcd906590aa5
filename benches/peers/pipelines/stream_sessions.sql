/*
title = "Sessions of each stream by the minute: the one query that peers run too"
keys = ["stream_id"]
sinks = ["lake"]
*/
SELECT
  window_start,
  window_end,
  stream_id,
  COUNT(DISTINCT session_id) AS sessions,
  COUNT(*) AS events
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
WHERE event_type IN ('view.started', 'view.heartbeat')
GROUP BY window_start, window_end, stream_id
