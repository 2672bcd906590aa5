/*
title = "Refused"
*/
SELECT a.window_start, a.window_end, a.viewers_max, b.viewers_max AS of_five_minutes
FROM TABLE(CONCURRENCY(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) a
JOIN TABLE(CONCURRENCY(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '5' MINUTE)) b -- here
ON a.window_end = b.window_end
