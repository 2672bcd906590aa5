/*
title = "Streams that have more viewers than the average stream, by the minute"
keys = ["stream_id"]
*/
WITH viewers AS (
  SELECT window_start, window_end, stream_id, viewers_avg
  FROM TABLE(CONCURRENCY(TABLE user_events PARTITION BY stream_id, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
)
SELECT v.window_start, v.window_end, v.stream_id, v.viewers_avg, a.viewers_avg AS of_the_average
FROM viewers v
JOIN (SELECT window_start, window_end, AVG(viewers_avg) AS viewers_avg FROM viewers GROUP BY window_start, window_end) a
ON v.window_start = a.window_start AND v.window_end = a.window_end
WHERE v.viewers_avg >= a.viewers_avg
