/*
title = "t"
*/
SELECT window_start, window_end, COUNT(*) AS n
FROM creators c
LEFT JOIN TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) e
  ON e.channel_id = c.channel_id -- here
GROUP BY window_start, window_end
