/*
title = "Events per viewer of the platform, every 10 seconds"
*/
SELECT
  v.window_start, v.window_end, v.viewers_avg, v.active_streams, COALESCE(e.events, 0) AS events,
  e.events / NULLIF(v.viewers_avg, 0) AS events_per_viewer
FROM TABLE(CONCURRENCY(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND)) v
LEFT JOIN (
  SELECT window_start, window_end, COUNT(*) AS events
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND))
  GROUP BY window_start, window_end
) e ON v.window_start = e.window_start AND v.window_end = e.window_end
