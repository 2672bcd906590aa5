/*
title = "Refused"
*/
SELECT window_start, window_end, COUNT(*) AS n
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
WHERE UPPER(country, platform) = 'DE' -- here
GROUP BY window_start, window_end
