/*
title = "Refused"
*/
SELECT window_start, window_end, COUNT(*) AS n
FROM (
  SELECT window_start, window_end,
    NULL AS shard_high_time -- here
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
)
GROUP BY window_start, window_end
