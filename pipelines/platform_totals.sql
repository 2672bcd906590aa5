/*
title = "Concurrent viewers and active streams of the whole platform, every 10 seconds"
keys = []
sinks = ["lake"]
*/
SELECT
  window_start,
  window_end,
  active_streams,
  active_streams_max,
  viewers_min,
  viewers_avg,
  viewers_max,
  viewers_current,
  unique_viewers,
  viewer_minutes
FROM TABLE(CONCURRENCY(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND))
