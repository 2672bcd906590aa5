/*
title = "Keys that are whole numbers, truth values and times"
keys = ["bitrate_kbps", "fatal", "minute"]
*/
SELECT window_start, window_end, bitrate_kbps, fatal, date_trunc('minute', event_time) AS minute, COUNT(*) AS events
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '5' MINUTE))
WHERE event_type LIKE 'view.%'
GROUP BY window_start, window_end, bitrate_kbps, fatal, date_trunc('minute', event_time)
