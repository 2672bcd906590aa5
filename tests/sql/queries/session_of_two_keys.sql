/*
title = "Sessions of a country on a device; NULL is a key of its own"
keys = ["country", "device_type"]
*/
SELECT window_start, window_end, country, device_type, COUNT(*) AS events, APPROX_DISTINCT(viewer_id) AS viewers,
  PERCENTILE(bitrate_kbps, 0.5) AS bitrate_p50
FROM TABLE(SESSION(TABLE user_events PARTITION BY (country, device_type), DESCRIPTOR(event_time), INTERVAL '15' SECOND))
GROUP BY window_start, window_end, country, device_type
