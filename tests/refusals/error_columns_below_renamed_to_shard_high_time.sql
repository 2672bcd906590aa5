/*
title = "Refused"
*/
SELECT window_start, window_end, COUNT(*) AS n
FROM (
  SELECT window_start, window_end, ingest_time
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
) AS e (window_start, window_end, shard_high_time) -- here
GROUP BY window_start, window_end
