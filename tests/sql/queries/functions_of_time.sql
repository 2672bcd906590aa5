/*
title = "Functions of times"
keys = ["event_id"]
*/
SELECT
  window_start, window_end, event_id, date_trunc('hour', t) AS hour_of, date_part('minute', t) AS minute_of, extract(dow FROM t) AS weekday,
  date_bin(INTERVAL '15' SECOND, t) AS quarter, to_char(t, '%H:%M:%S') AS clock, CAST(t AS DATE) AS date_of,
  to_unixtime(t) AS unix, t + INTERVAL '1' DAY AS tomorrow, to_timestamp_micros(0) AS epoch, make_date(2026, 2, 28) AS february,
  CAST(date_part('epoch', window_end - t) AS DOUBLE) AS left_of_window
FROM (
  SELECT window_start, window_end, event_id, MAX(event_time) AS t
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
  WHERE event_type IN ('user.logged_in', 'stream.started')
  GROUP BY window_start, window_end, event_id
)
