/*
title = "ORDER BY … LIMIT takes its rows of each window"
keys = ["stream_id"]
*/
SELECT window_start, window_end, stream_id, COUNT(*) AS events, SUM(amount_minor) AS amount_minor
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
WHERE stream_id IS NOT NULL AND currency IS DISTINCT FROM 'XTS'
GROUP BY window_start, window_end, stream_id
ORDER BY events DESC, stream_id DESC
LIMIT 2
