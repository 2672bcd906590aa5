/*
title = "Sessions of rows that find something, by what they find"
keys = ["user_id", "tier"]
*/
SELECT window_start, window_end, user_id, c.tier, COUNT(*) AS n
FROM TABLE(SESSION(TABLE user_events PARTITION BY user_id, DESCRIPTOR(event_time), INTERVAL '45' SECOND)) e
JOIN channels c ON e.channel_id = c.channel_id
GROUP BY window_start, window_end, user_id, c.tier
