/*
title = "Refused"
*/
WITH minutes AS (
  SELECT window_time, stream_id, COUNT(*) AS events
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  GROUP BY window_start, window_end, window_time, stream_id
)
SELECT stream_id, MAX(events) AS most
FROM TABLE(TUMBLE(TABLE minutes, DESCRIPTOR(window_time), INTERVAL '1' HOUR))
GROUP BY stream_id -- here
