/*
title = "Refused"
keys = ["country"]
sinks = ["lake", "cloudwatch"]
[[cloudwatch]]
metric = "A"
value = "first" # here
dimensions = ["country"]
*/
SELECT window_start, window_end, country, COUNT(*) AS events, MIN(event_time) AS first
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, country
