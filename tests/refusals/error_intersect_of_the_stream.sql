/*
title = "Refused"
*/
SELECT window_start, window_end, COUNT(*) AS n
FROM (
  SELECT window_start, window_end, stream_id FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  INTERSECT -- here
  SELECT window_start, window_end, stream_id FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)))
GROUP BY window_start, window_end
