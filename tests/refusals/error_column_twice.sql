/*
title = "Refused"
*/
SELECT
  window_start, window_end, stream_id AS name, COUNT(*) AS events, COUNT(viewer_id) AS events -- here
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, stream_id
