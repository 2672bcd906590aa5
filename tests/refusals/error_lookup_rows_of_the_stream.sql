/*
title = "t"
*/
SELECT e.event_id, c.tier
FROM user_events e -- here
JOIN creators c ON e.channel_id = c.channel_id
