/*
title = "The two most watched streams of each minute"
keys = ["place"]
*/
SELECT window_start, window_end, place, stream_id, viewers_max
FROM (
  SELECT window_start, window_end, stream_id, viewers_max,
    ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY viewers_max DESC, stream_id) AS place
  FROM TABLE(CONCURRENCY(TABLE user_events PARTITION BY stream_id, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
)
WHERE place <= 2
