/*
title = "Refused"
keys = ["session_id"]
sinks = ["lake", "cloudwatch"]
[[cloudwatch]]
metric = "Events" # here
value = "events"
unit = "Count"
dimensions = ["session_id"]
*/
SELECT window_start, window_end, session_id, COUNT(*) AS events
FROM TABLE(SESSION(TABLE user_events PARTITION BY session_id, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, session_id
