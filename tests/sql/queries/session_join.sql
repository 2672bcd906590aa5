/*
title = "Sessions of viewers, joined with what they heard of errors in the same session"
keys = ["viewer_id"]
*/
SELECT a.window_start, a.window_end, a.viewer_id, a.events, b.errors
FROM (
  SELECT window_start, window_end, viewer_id, COUNT(*) AS events
  FROM TABLE(SESSION(TABLE user_events PARTITION BY viewer_id, DESCRIPTOR(event_time), INTERVAL '25' SECOND))
  GROUP BY window_start, window_end, viewer_id) a
LEFT JOIN (
  SELECT window_start, window_end, viewer_id, COUNT(*) FILTER (WHERE event_type = 'view.error') AS errors
  FROM TABLE(SESSION(TABLE user_events PARTITION BY viewer_id, DESCRIPTOR(event_time), INTERVAL '25' SECOND))
  GROUP BY window_start, window_end, viewer_id
  HAVING COUNT(*) FILTER (WHERE event_type = 'view.error') > 0) b
ON a.window_start = b.window_start AND a.window_end = b.window_end AND a.viewer_id = b.viewer_id
WHERE a.viewer_id IS NOT NULL
