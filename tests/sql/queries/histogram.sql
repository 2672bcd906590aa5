/*
title = "How many viewers did how much: two aggregates by different keys"
keys = ["events"]
*/
SELECT window_start, window_end, events, COUNT(*) AS viewers
FROM (
  SELECT window_start, window_end, viewer_id, COUNT(*) AS events
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  WHERE viewer_id IS NOT NULL
  GROUP BY window_start, window_end, viewer_id
)
GROUP BY window_start, window_end, events
