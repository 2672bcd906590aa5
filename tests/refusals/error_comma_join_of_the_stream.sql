/*
title = "Refused"
*/
SELECT window_start, window_end, COUNT(*) AS n
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)), -- here
  (VALUES ('DE'), ('FR')) AS near (c)
WHERE c = country
GROUP BY window_start, window_end
