/*
title = "Frames, drops, bitrate and round-trip time of each encoder, by the minute"
keys = ["encoder_id"]
sinks = ["lake"]
*/
SELECT
  window_start,
  window_end,
  encoder_id,
  COUNT(*) AS samples,
  SUM(frames_encoded) AS frames_encoded,
  SUM(frames_dropped) AS frames_dropped,
  CAST(SUM(frames_dropped) AS DOUBLE) / NULLIF(SUM(frames_encoded) + SUM(frames_dropped), 0) AS drop_ratio,
  MIN(bitrate_kbps) AS bitrate_kbps_min,
  PERCENTILE(rtt_ms, 0.95) AS rtt_ms_p95
FROM TABLE(TUMBLE(TABLE encoder_samples, DESCRIPTOR(measured_at), INTERVAL '1' MINUTE))
WHERE kind = 'encoder.sample'
GROUP BY window_start, window_end, encoder_id
