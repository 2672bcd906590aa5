/*
title = "Refused"
*/
SELECT window_start, window_end, id, COUNT(*) AS events
FROM (SELECT window_start, window_end, CAST(amount_minor AS INT) AS id FROM TABLE(SESSION(TABLE user_events PARTITION BY amount_minor, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)))
GROUP BY window_start, window_end, id -- here
