/*
title = "Concurrent viewers and streams in total, every 10 seconds"
keys = []
*/
SELECT
  window_start, window_end, active_streams, active_streams_min, active_streams_avg, active_streams_max, viewers_min, viewers_avg,
  viewers_max, viewers_current, unique_viewers, viewer_minutes
FROM TABLE(CONCURRENCY(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND))
