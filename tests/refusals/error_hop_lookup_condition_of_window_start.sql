/*
title = "Refused"
*/
SELECT window_start, window_end, SUM(p.price) AS price
FROM TABLE(HOP(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND, INTERVAL '1' MINUTE)) e
JOIN prices p ON e.country = p.country
  AND e.window_start >= p.since -- here
GROUP BY window_start, window_end
