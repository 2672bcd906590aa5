/*
title = "An aggregate of one's own, merged through windows that hop"
keys = ["country"]
*/
SELECT window_start, window_end, country, LONGEST(viewer_id) AS longest, LONGEST(device_type) FILTER (WHERE bitrate_kbps > 0) AS device
FROM TABLE(HOP(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '20' SECOND, INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, country
