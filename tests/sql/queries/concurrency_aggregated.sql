/*
title = "Streams by how many watch them"
keys = ["audience"]
*/
SELECT
  window_start, window_end, CASE WHEN viewers_max > 1 THEN 'several' ELSE 'one' END AS audience, COUNT(*) AS streams,
  SUM(viewer_minutes) AS minutes
FROM TABLE(CONCURRENCY(TABLE user_events PARTITION BY stream_id, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, audience
HAVING SUM(viewer_minutes) > 0
