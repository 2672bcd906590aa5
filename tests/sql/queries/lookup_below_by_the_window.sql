/*
title = "Of a channel only the windows that begin after a time of its row"
keys = ["tier"]
*/
SELECT window_start, window_end, c.tier, COUNT(*) AS n
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) e
JOIN channels c ON e.channel_id = c.channel_id AND e.window_start >= CAST(c.since AS TIMESTAMP)
GROUP BY window_start, window_end, c.tier
