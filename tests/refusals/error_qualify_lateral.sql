/*
title = "Refused"
*/
SELECT window_start, window_end, stream_id, n
FROM (SELECT window_start, window_end, stream_id, COUNT(*) AS n -- here
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, stream_id) a,
  LATERAL (SELECT stream_id AS other FROM user_events e WHERE e.stream_id = a.stream_id) b
