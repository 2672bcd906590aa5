/*
title = "Sessions of a key that a sub-query renames, with expressions above"
keys = ["who"]
*/
WITH marks AS (
  SELECT event_time, COALESCE(viewer_id, user_id) AS who, event_type, played_ms FROM user_events WHERE event_type NOT LIKE 'stream.%')
SELECT window_start, window_end, who,
  EXTRACT(EPOCH FROM window_end - window_start) AS seconds,
  CASE WHEN COUNT(*) > 3 THEN 'long' ELSE 'short' END AS length,
  AVG(played_ms) AS played_avg
FROM TABLE(SESSION(TABLE marks PARTITION BY who, DESCRIPTOR(event_time), INTERVAL '30' SECOND))
GROUP BY window_start, window_end, who
