/*
title = "Playback sessions: what is within 20 seconds of each other"
keys = ["session_id"]
*/
SELECT window_start, window_end, session_id, COUNT(*) AS events, COUNT(DISTINCT event_type) AS types,
  COUNT(DISTINCT viewer_id) AS viewers, COALESCE(SUM(played_ms), 0) AS played_ms, MAX(bitrate_kbps) AS bitrate_max
FROM TABLE(SESSION(TABLE user_events PARTITION BY session_id, DESCRIPTOR(event_time), INTERVAL '20' SECOND))
WHERE event_type LIKE 'view.%'
GROUP BY window_start, window_end, session_id
