/*
title = "LIKE, ILIKE, escapes, SIMILAR TO and regular expressions"
keys = ["event_id"]
*/
SELECT window_start, window_end, event_id, MAX(event_type) AS event_type, MAX(error_code) AS error_code
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '5' MINUTE))
WHERE error_code ILIKE 'E-4_' OR error_code ~ '^[A-Z]+/[0-9]{3}$' OR properties LIKE '%100\%\_done%'
  OR event_type SIMILAR TO 'stream.(started|ended)'
GROUP BY window_start, window_end, event_id
