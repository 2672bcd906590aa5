/*
title = "Refused"
*/
SELECT window_start, window_end, COUNT(*) AS n
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
WHERE ARRAY_LENGTH(STRING_TO_ARRAY(properties, ',')) > 1 -- here
GROUP BY window_start, window_end
