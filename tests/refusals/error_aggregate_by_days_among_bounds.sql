/*
title = "Refused"
*/
SELECT MIN(starts) AS window_start, MAX(ends) AS window_end, SUM(n) AS n -- here
FROM (
  SELECT window_start AS starts, CAST(window_end AS DATE) AS ends, COUNT(*) AS n
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  GROUP BY window_start, window_end
  UNION ALL
  SELECT window_start AS starts, window_end AS ends, COUNT(*) AS n
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  GROUP BY window_start, window_end
)
GROUP BY ends
