/*
title = "An aggregate of one's own, below the windows and above them"
keys = ["side", "country"]
*/
WITH minutes AS (
  SELECT window_start, window_end, country, device_type, LONGEST(viewer_id) AS longest, LONGEST(event_id) FILTER (WHERE fatal) AS fatal
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  GROUP BY window_start, window_end, country, device_type
)
SELECT window_start, window_end, 'minutes' AS side, country, LONGEST(device_type) AS above, MAX(longest) AS below, MAX(fatal) AS fatal
FROM minutes
GROUP BY window_start, window_end, country
