/*
title = "LAG, LEAD, FIRST_VALUE and running sums within a window"
keys = ["stream_id"]
*/
SELECT
  window_start, window_end, stream_id, events, LAG(events) OVER (PARTITION BY window_start, window_end ORDER BY stream_id) AS before,
  LEAD(stream_id, 1, 'none') OVER (PARTITION BY window_start, window_end ORDER BY stream_id) AS after,
  FIRST_VALUE(stream_id) OVER (PARTITION BY window_start, window_end ORDER BY events DESC, stream_id) AS leader,
  SUM(events) OVER (PARTITION BY window_start, window_end ORDER BY stream_id) AS running,
  AVG(events) OVER (PARTITION BY window_start, window_end ORDER BY stream_id ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) AS smooth
FROM (SELECT window_start, window_end, stream_id, COUNT(*) AS events, SUM(amount_minor) AS amount_minor
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  WHERE stream_id IS NOT NULL AND currency IS DISTINCT FROM 'XTS'
  GROUP BY window_start, window_end, stream_id)
