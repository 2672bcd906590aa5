/*
title = "Refused"
*/
SELECT window_start, window_end, stream_id,
  ROW_NUMBER() OVER (PARTITION BY stream_id ORDER BY event_time) AS place -- here
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
