/*
title = "The streams that were first in some ten seconds, by how often: the best two of each minute"
keys = ["place"]
*/
WITH ranked AS (
  SELECT window_time, stream_id, events,
    ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY events DESC, stream_id) AS place
  FROM (
    SELECT window_start, window_end, window_time, stream_id, COUNT(*) AS events
    FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND))
    WHERE stream_id IS NOT NULL
    GROUP BY window_start, window_end, window_time, stream_id
  )
),
firsts AS (
  SELECT window_start, window_end, stream_id, COUNT(*) AS times_first, MAX(events) AS most
  FROM TABLE(TUMBLE(TABLE ranked, DESCRIPTOR(window_time), INTERVAL '1' MINUTE))
  WHERE place = 1
  GROUP BY window_start, window_end, stream_id
)
SELECT window_start, window_end, place, stream_id, times_first, most
FROM (
  SELECT window_start, window_end, stream_id, times_first, most,
    ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY times_first DESC, stream_id) AS place
  FROM firsts
)
WHERE place <= 2
