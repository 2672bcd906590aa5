/*
title = "The two liveliest streams of each minute by ROW_NUMBER; the key decides ties"
keys = ["place"]
*/
SELECT window_start, window_end, place, stream_id, events
FROM (
  SELECT window_start, window_end, stream_id, events,
    ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY events DESC, stream_id) AS place
  FROM (SELECT window_start, window_end, stream_id, COUNT(*) AS events, SUM(amount_minor) AS amount_minor
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  WHERE stream_id IS NOT NULL AND currency IS DISTINCT FROM 'XTS'
  GROUP BY window_start, window_end, stream_id)
)
WHERE place <= 2
