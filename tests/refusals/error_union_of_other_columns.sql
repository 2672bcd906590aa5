/*
title = "Refused"
*/
SELECT window_start, window_end, n FROM (SELECT window_start, window_end, stream_id, COUNT(*) AS n -- here
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, stream_id)
UNION ALL
SELECT window_start, window_end, stream_id, n FROM (SELECT window_start, window_end, stream_id, COUNT(*) AS n
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, stream_id)
