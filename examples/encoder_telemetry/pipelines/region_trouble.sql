/*
title = "Encoders, restarts, failovers and lost signals of each region, every five minutes"
keys = ["region"]
sinks = ["lake"]
*/
SELECT
  window_start,
  window_end,
  region,
  COUNT(DISTINCT encoder_id) AS encoders,
  COUNT(*) FILTER (WHERE kind = 'encoder.restarted') AS restarts,
  COUNT(*) FILTER (WHERE kind = 'encoder.failed_over') AS failovers,
  COUNT(*) FILTER (WHERE kind = 'encoder.sample' AND NOT locked) AS samples_without_signal
FROM TABLE(TUMBLE(TABLE encoder_samples, DESCRIPTOR(measured_at), INTERVAL '5' MINUTE))
GROUP BY window_start, window_end, region
