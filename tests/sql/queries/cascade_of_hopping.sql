/*
title = "The busiest minute that ended within two minutes, to 10 seconds"
keys = ["stream_id"]
*/
SELECT window_start, window_end, stream_id, MAX(events) AS events_of_the_busiest_minute, COUNT(*) AS minutes
FROM TABLE(TUMBLE(TABLE (
  SELECT window_time, stream_id, COUNT(*) AS events
  FROM TABLE(HOP(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND, INTERVAL '1' MINUTE))
  GROUP BY window_start, window_end, window_time, stream_id
), DESCRIPTOR(window_time), INTERVAL '2' MINUTE))
GROUP BY window_start, window_end, stream_id
