/*
title = "Refused"
*/
SELECT window_start, window_end, COUNT(*) AS n
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
WHERE bitrate_kbps > (
  SELECT MAX(bitrate_kbps) / 2 FROM user_events) -- here
GROUP BY window_start, window_end
