/*
title = "Refused"
*/
WITH minutes AS (
  SELECT window_time, stream_id, COUNT(*) AS events
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  GROUP BY window_start, window_end, window_time, stream_id
)
SELECT h.window_start, h.window_end, SUM(h.events * m.events) AS products
FROM TABLE(TUMBLE(TABLE minutes, DESCRIPTOR(window_time), INTERVAL '1' HOUR)) h
JOIN minutes m ON h.stream_id = m.stream_id -- here
GROUP BY h.window_start, h.window_end
