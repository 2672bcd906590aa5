/*
title = "Refused"
*/
WITH RECURSIVE counted AS ( -- here
  SELECT window_start, window_end, COUNT(*) AS n
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  GROUP BY window_start, window_end
  UNION ALL
  SELECT window_start, window_end, n - 1 AS n FROM counted WHERE n > 1)
SELECT window_start, window_end, SUM(n) AS n FROM counted GROUP BY window_start, window_end
