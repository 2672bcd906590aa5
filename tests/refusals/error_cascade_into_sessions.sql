/*
title = "Refused"
*/
WITH minutes AS (
  SELECT window_time, stream_id, COUNT(*) AS events
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  GROUP BY window_start, window_end, window_time, stream_id
)
SELECT window_start, window_end, stream_id, MAX(events) AS most
FROM TABLE(SESSION(TABLE minutes PARTITION BY stream_id, DESCRIPTOR(window_time), INTERVAL '5' MINUTE)) -- here
GROUP BY window_start, window_end, stream_id
