/*
title = "Functions of regular expressions"
keys = ["error_code"]
*/
SELECT
  window_start, window_end, error_code, regexp_like(error_code, '[0-9]+') AS has_number,
  regexp_replace(error_code, '[^A-Za-z0-9]+', '_', 'g') AS name, regexp_count(error_code, '[0-9]') AS digits,
  regexp_instr(error_code, '[0-9]') AS first_digit, lower(trim(error_code)) AS normal, COUNT(*) AS errors
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '5' MINUTE))
WHERE event_type = 'view.error'
GROUP BY window_start, window_end, error_code
