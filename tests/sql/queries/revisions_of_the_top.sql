/*
title = "A revision in which another group is chosen: the old one comes with 0"
keys = ["stream_id"]
allowed_lateness_secs = 150
*/
SELECT window_start, window_end, stream_id, events FROM (
  SELECT window_start, window_end, stream_id, COUNT(*) AS events,
    ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY COUNT(*) DESC, stream_id) AS place
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  WHERE event_type IN ('chat.message_sent', 'tip.sent')
  GROUP BY window_start, window_end, stream_id
)
WHERE place = 1
