/*
title = "CORR, COVAR and regressions, rounded"
keys = []
*/
SELECT
  window_start, window_end, ROUND(CORR(bitrate_kbps, stall_ms), 6) AS corr, ROUND(COVAR_SAMP(bitrate_kbps, stall_ms), 3) AS covar,
  ROUND(COVAR_POP(bitrate_kbps, stall_ms), 3) AS covar_pop, ROUND(REGR_SLOPE(stall_ms, bitrate_kbps), 6) AS slope,
  ROUND(REGR_INTERCEPT(stall_ms, bitrate_kbps), 3) AS intercept, REGR_COUNT(stall_ms, bitrate_kbps) AS pairs,
  ROUND(REGR_R2(stall_ms, bitrate_kbps), 6) AS r2
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end
