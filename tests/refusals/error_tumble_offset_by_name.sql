/*
title = "Refused"
*/
SELECT window_start, window_end, COUNT(*) AS n
FROM TABLE(TUMBLE( -- here
  DATA => TABLE user_events, TIMECOL => DESCRIPTOR(event_time), SIZE => INTERVAL '1' DAY, OFFSET => INTERVAL '2' HOUR))
GROUP BY window_start, window_end
