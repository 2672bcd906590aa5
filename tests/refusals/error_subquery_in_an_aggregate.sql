/*
title = "Refused"
*/
SELECT
  window_start, window_end,
  COUNT(*) FILTER (WHERE country IN (SELECT c FROM (VALUES ('DE'), ('FR')) AS near (c))) AS n -- here
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end
