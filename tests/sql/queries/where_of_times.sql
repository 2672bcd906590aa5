/*
title = "Conditions on times"
keys = []
*/
SELECT window_start, window_end, COUNT(*) AS events
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
WHERE event_time >= TIMESTAMP '2026-03-01T10:00:30Z' AND event_time < window_start + INTERVAL '45' SECOND
  AND ingest_time - event_time < INTERVAL '10' SECOND
GROUP BY window_start, window_end
