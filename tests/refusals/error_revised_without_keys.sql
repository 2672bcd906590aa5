/*
title = "Refused"
allowed_lateness_secs = 60 # here
*/
SELECT window_start, window_end, country, COUNT(*) AS n
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, country
