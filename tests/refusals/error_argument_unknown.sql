/*
title = "Refused"
*/
SELECT window_start, window_end, COUNT(*) AS events
FROM TABLE(TUMBLE(DATA => TABLE user_events, TIMECOL => DESCRIPTOR(event_time), LENGTH => INTERVAL '1' MINUTE)) -- here
GROUP BY window_start, window_end
