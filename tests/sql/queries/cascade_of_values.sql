/*
title = "Distinct values, percentiles, and conditions over the rows of windows"
*/
WITH tens AS (
  SELECT window_time AS rowtime, stream_id, country, COUNT(*) AS events, MAX(bitrate_kbps) AS bitrate_kbps
  FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND))
  GROUP BY window_start, window_end, window_time, stream_id, country
)
SELECT window_start, window_end, COUNT(DISTINCT stream_id) AS streams, COUNT(DISTINCT stream_id) FILTER (WHERE events > 1) AS busy_streams,
  PERCENTILE(events, 0.5) AS events_p50, PERCENTILE(events, 0.95) AS events_p95, MEDIAN(bitrate_kbps) AS bitrate_kbps_median,
  FIRST_VALUE(country ORDER BY events DESC, country) AS busiest_country
FROM TABLE(TUMBLE(TABLE tens, DESCRIPTOR(rowtime), INTERVAL '2' MINUTE))
GROUP BY window_start, window_end
