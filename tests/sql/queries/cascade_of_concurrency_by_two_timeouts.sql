/*
title = "What a shorter timeout takes away from each minute's peak of the platform"
keys = []
*/
WITH tens AS (
  SELECT j.window_time AS rowtime, j.viewers_max AS viewers, s.viewers_max AS viewers_by_20_s
  FROM TABLE(CONCURRENCY(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND)) j
  JOIN TABLE(CONCURRENCY(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND, SESSION_TIMEOUT => INTERVAL '20' SECOND)) s
    ON j.window_start = s.window_start AND j.window_end = s.window_end
)
SELECT window_start, window_end, MAX(viewers) AS peak, MAX(viewers_by_20_s) AS peak_by_20_s, MAX(viewers - viewers_by_20_s) AS most_less
FROM TABLE(TUMBLE(TABLE tens, DESCRIPTOR(rowtime), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end
