/*
title = "Concurrent viewers and active streams of the whole platform, every 10 seconds"
keys = []
sinks = ["lake", "cloudwatch"]

# The dashboards read these two by name, without dimensions. docs/cloudwatch.md says what their statistics mean.
[[cloudwatch]]
metric = "ConcurrentViewers"
unit = "Count"
average = "viewers_avg"
minimum = "viewers_min"
maximum = "viewers_max"

[[cloudwatch]]
metric = "ActiveStreams"
unit = "Count"
average = "active_streams_avg"
minimum = "active_streams_min"
maximum = "active_streams_max"
*/
SELECT
  window_start,
  window_end,
  active_streams,
  active_streams_min,
  active_streams_avg,
  active_streams_max,
  viewers_min,
  viewers_avg,
  viewers_max,
  viewers_current,
  unique_viewers,
  viewer_minutes
FROM TABLE(CONCURRENCY(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND))
