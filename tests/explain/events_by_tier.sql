/*
title = "Events by the tier of their channel"
keys = ["tier"]
*/
SELECT e.window_start, e.window_end, COALESCE(c.tier, 'none') AS tier, COUNT(*) AS events
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) e
LEFT JOIN creators c ON e.channel_id = c.channel_id
WHERE e.event_type = 'view.started'
GROUP BY e.window_start, e.window_end, c.tier
