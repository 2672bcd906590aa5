/*
title = "The largest tip of each minute, by QUALIFY"
keys = ["event_id"]
*/
SELECT window_start, window_end, event_id, MAX(amount_minor) AS amount_minor
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
WHERE event_type = 'tip.sent' AND currency <> 'XTS'
GROUP BY window_start, window_end, event_id
QUALIFY ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY MAX(amount_minor) DESC, event_id) = 1
