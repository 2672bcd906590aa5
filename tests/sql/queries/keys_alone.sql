/*
title = "Groups without an aggregate"
keys = ["viewer_id"]
*/
SELECT window_start, window_end, viewer_id
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
WHERE viewer_id IS NOT NULL
GROUP BY window_start, window_end, viewer_id
