/*
title = "Keys that are floating point"
keys = ["euros"]
*/
SELECT window_start, window_end, CAST(amount_minor AS DOUBLE) / 100 AS euros, COUNT(*) AS tips
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '5' MINUTE))
WHERE event_type = 'tip.sent' AND currency = 'EUR'
GROUP BY window_start, window_end, CAST(amount_minor AS DOUBLE) / 100
