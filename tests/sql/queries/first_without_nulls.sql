/*
title = "FIRST_VALUE and LAST_VALUE that pass over NULL"
keys = ["stream_id"]
*/
SELECT
  window_start, window_end, stream_id,
  FIRST_VALUE(country ORDER BY event_time, event_id) AS first_country,
  FIRST_VALUE(country ORDER BY event_time, event_id) IGNORE NULLS AS first_known,
  LAST_VALUE(bitrate_kbps ORDER BY event_time, event_id) IGNORE NULLS AS last_known
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
WHERE stream_id IS NOT NULL
GROUP BY window_start, window_end, stream_id
