/*
title = "Refused"
*/
SELECT window_start, window_end,
  NTH_VALUE(stream_id, played_ms ORDER BY event_time) AS nth -- here
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end
