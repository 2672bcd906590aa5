/*
title = "Refused"
*/
SELECT stream_id, COUNT(*) AS events
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY stream_id -- here
