/*
title = "Refused"
*/
SELECT window_start, window_end, COUNT(*) AS n -- here
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end
UNION ALL
SELECT TIMESTAMP '2026-01-01 00:00:00Z', TIMESTAMP '2026-01-01 00:01:00Z', 0
