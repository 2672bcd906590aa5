/*
title = "Refused"
*/
SELECT window_start, window_end,
  MAX(window_end) AS latest -- here
FROM TABLE(HOP(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND, INTERVAL '1' MINUTE))
GROUP BY window_start, window_end
