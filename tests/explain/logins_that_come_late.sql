/*
title = "Logins by country, waited for five minutes"
keys = ["country"]
watermark_delay_secs = 300
*/
SELECT window_start, window_end, country, COUNT(*) AS logins
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
WHERE event_type = 'user.logged_in'
GROUP BY window_start, window_end, country
