/*
title = "BOOL_AND and BOOL_OR"
keys = ["stream_id"]
*/
SELECT
  window_start, window_end, stream_id, BOOL_AND(fatal) AS all_fatal, BOOL_OR(fatal) AS any_fatal,
  BOOL_OR(event_type = 'tip.sent') AS tipped, BOOL_AND(country IS NOT NULL) AS all_located
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, stream_id
