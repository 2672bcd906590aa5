/*
title = "Active streams, where silence is soon taken for an end"
*/
SELECT window_start, window_end, active_streams, active_streams_min, active_streams_avg, active_streams_max, viewers_max
FROM TABLE(CONCURRENCY(
  STREAM_TIMEOUT => INTERVAL '30' SECOND,
  SIZE => INTERVAL '30' SECOND,
  DATA => TABLE user_events,
  TIMECOL => DESCRIPTOR(event_time),
  ANNOUNCED_TIMEOUT => INTERVAL '1' MINUTE
))
