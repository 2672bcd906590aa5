/*
title = "COUNT of rows, of values and of distinct values of every type"
keys = ["stream_id"]
*/
SELECT
  window_start, window_end, stream_id,
  COUNT(*) AS events, COUNT(1) AS ones, COUNT(viewer_id) AS named,
  COUNT(DISTINCT viewer_id) AS viewers, COUNT(DISTINCT bitrate_kbps) AS bitrates, COUNT(DISTINCT amount_minor) AS amounts,
  COUNT(DISTINCT fatal) AS verdicts, COUNT(DISTINCT event_time) AS instants,
  COUNT(DISTINCT CAST(amount_minor AS DOUBLE) / 4) AS quarters
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, stream_id
