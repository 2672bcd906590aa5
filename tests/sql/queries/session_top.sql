/*
title = "The busiest viewer of each session of a stream, by ROW_NUMBER"
keys = ["stream_id"]
*/
SELECT window_start, window_end, stream_id, viewer_id, events
FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end, stream_id ORDER BY events DESC, viewer_id) AS place
  FROM (SELECT window_start, window_end, stream_id, viewer_id, COUNT(*) AS events
  FROM TABLE(SESSION(TABLE user_events PARTITION BY stream_id, DESCRIPTOR(event_time), INTERVAL '10' SECOND))
  WHERE viewer_id IS NOT NULL
  GROUP BY window_start, window_end, stream_id, viewer_id)
)
WHERE place = 1
