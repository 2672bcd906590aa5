/*
title = "Refused"
*/
SELECT e.window_start, e.window_end, SUM(price) AS price
FROM (
  SELECT country, window_start AS since, window_start, window_end
  FROM TABLE(HOP(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND, INTERVAL '1' MINUTE))
) e JOIN prices USING (country, since) -- here
GROUP BY e.window_start, e.window_end
