/*
title = "Refused"
*/
WITH rows_of_minutes AS (
  SELECT window_time, stream_id
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
)
SELECT window_start, window_end, COUNT(*) AS events
FROM TABLE(TUMBLE(TABLE rows_of_minutes, DESCRIPTOR(window_time), INTERVAL '1' HOUR)) -- here
GROUP BY window_start, window_end
