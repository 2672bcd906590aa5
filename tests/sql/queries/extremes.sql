/*
title = "MIN and MAX of numbers, text, truth values and times"
keys = ["event_type"]
*/
SELECT
  window_start, window_end, event_type, MIN(amount_minor) AS least, MAX(amount_minor) AS most,
  MIN(country) AS first_country, MAX(country) AS last_country, MIN(event_time) AS earliest, MAX(event_time) AS latest,
  MIN(fatal) AS never_fatal, MAX(fatal) AS ever_fatal
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, event_type
