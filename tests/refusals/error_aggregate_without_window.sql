/*
title = "Refused"
*/
SELECT stream_id, COUNT(*) AS events
FROM user_events
WHERE stream_id IS NOT NULL
GROUP BY stream_id -- here
