/*
title = "Names in quotes, and upper case without"
keys = ["stream_id"]
*/
SELECT WINDOW_START, Window_End, "Stream" AS stream_id, "the events" AS events
FROM (
  SELECT window_start, window_end, stream_id AS "Stream", COUNT(*) AS "the events"
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  WHERE STREAM_ID IS NOT NULL
  GROUP BY window_start, window_end, stream_id
)
