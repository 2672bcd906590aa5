/*
title = "Concurrent viewers of each stream, where a heartbeat holds for 20 seconds and an end for 30"
keys = ["stream_id"]
*/
SELECT window_start, window_end, stream_id, viewers_min, viewers_avg, viewers_max, viewers_current, unique_viewers
FROM TABLE(CONCURRENCY(
  TABLE user_events PARTITION BY stream_id,
  DESCRIPTOR(event_time),
  INTERVAL '1' MINUTE,
  SESSION_TIMEOUT => INTERVAL '20' SECOND,
  CLOSED_RETENTION => INTERVAL '30' SECOND
))
