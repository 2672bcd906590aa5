/*
title = "What late rows change of windows changes the windows that are made of these"
keys = ["stream_id"]
allowed_lateness_secs = 60
*/
WITH tens AS (
  SELECT window_time AS rowtime, stream_id, COUNT(*) AS events, SUM(amount_minor) AS amount_minor
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND))
  WHERE event_type IN ('tip.sent', 'chat.message_sent')
  GROUP BY window_start, window_end, window_time, stream_id
)
SELECT window_start, window_end, stream_id, COUNT(*) AS tens, SUM(events) AS events, MAX(events) AS most, SUM(amount_minor) AS amount_minor
FROM TABLE(TUMBLE(TABLE tens, DESCRIPTOR(rowtime), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, stream_id
