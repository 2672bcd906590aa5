/*
title = "Refused"
*/
WITH streams AS (
  SELECT window_start, window_end, stream_id, COUNT(*) AS n
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  GROUP BY window_start, window_end, stream_id)
SELECT window_start, window_end, COUNT(*) AS n
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
WHERE stream_id IN (SELECT stream_id FROM streams WHERE n > 10) -- here
GROUP BY window_start, window_end
