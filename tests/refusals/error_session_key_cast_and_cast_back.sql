/*
title = "Refused"
*/
SELECT window_start, window_end, user_id, COUNT(*) AS events
FROM (
  SELECT window_start, window_end, CAST(TRY_CAST(user_id AS BIGINT) AS VARCHAR) AS user_id
  FROM TABLE(SESSION(TABLE user_events PARTITION BY user_id, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
)
GROUP BY window_start, window_end, user_id -- here
