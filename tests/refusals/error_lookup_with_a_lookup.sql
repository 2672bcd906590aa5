/*
title = "t"
*/
SELECT window_start, window_end, COUNT(*) AS n
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) e
JOIN (SELECT c.channel_id, t.rank FROM creators c JOIN tiers t ON c.tier = t.tier) x -- here
  ON e.channel_id = x.channel_id
GROUP BY window_start, window_end
