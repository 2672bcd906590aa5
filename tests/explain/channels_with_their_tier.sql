/*
title = "Events of a channel, with its tier"
keys = ["channel_id"]
*/
SELECT w.window_start, w.window_end, w.channel_id, c.tier, w.events
FROM (
  SELECT window_start, window_end, channel_id, COUNT(*) AS events
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  GROUP BY window_start, window_end, channel_id) w
JOIN creators c ON w.channel_id = c.channel_id AND c.country = 'de'
