/*
title = "A late row may take a group of the longer window away"
keys = ["stream_id"]
allowed_lateness_secs = 60
*/
WITH quiet AS (
  SELECT window_time AS rowtime, stream_id, COUNT(*) AS events
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND))
  WHERE event_type IN ('tip.sent', 'chat.message_sent')
  GROUP BY window_start, window_end, window_time, stream_id
  HAVING COUNT(*) = 1
)
SELECT window_start, window_end, stream_id, COUNT(*) AS quiet_tens
FROM TABLE(HOP(TABLE quiet, DESCRIPTOR(rowtime), INTERVAL '10' SECOND, INTERVAL '20' SECOND))
GROUP BY window_start, window_end, stream_id
