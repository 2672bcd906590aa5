/*
title = "Refused"
*/
SELECT window_start, window_end, MAX(gap) AS gap_max
FROM (
  SELECT
    window_start, window_end,
    event_time - LAG(event_time) OVER (PARTITION BY stream_id ORDER BY event_time) AS gap -- here
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)))
GROUP BY window_start, window_end
