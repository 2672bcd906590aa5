/*
title = "Refused"
*/
SELECT window_start, window_end, session_id, MAX(p.price) AS price
FROM TABLE(SESSION(TABLE user_events PARTITION BY session_id, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) e
LEFT JOIN prices p ON e.country = p.country
  AND p.since < e.window_end -- here
GROUP BY window_start, window_end, session_id
