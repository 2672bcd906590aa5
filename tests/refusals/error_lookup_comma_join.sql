/*
title = "t"
*/
SELECT window_start, window_end, COUNT(*) AS n
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) e,
  creators c -- here
WHERE e.channel_id = c.channel_id
GROUP BY window_start, window_end
