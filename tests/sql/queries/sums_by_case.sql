/*
title = "Sums of CASE: a pivot"
keys = ["stream_id"]
*/
SELECT
  window_start, window_end, stream_id,
  SUM(CASE WHEN event_type = 'tip.sent' THEN 1 ELSE 0 END) AS tips,
  SUM(CASE event_type WHEN 'chat.message_sent' THEN 1 WHEN 'view.error' THEN 10 END) AS weight,
  SUM(CAST(fatal AS INT)) AS fatal_errors
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
WHERE stream_id IS NOT NULL
GROUP BY window_start, window_end, stream_id
