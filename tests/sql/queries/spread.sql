/*
title = "Variance and standard deviation, rounded: sums of squares depend on the split by their last bits"
keys = ["currency"]
*/
SELECT
  window_start, window_end, currency, ROUND(STDDEV(amount_minor), 6) AS stddev, ROUND(STDDEV_POP(amount_minor), 6) AS stddev_pop,
  ROUND(VAR_SAMP(amount_minor), 4) AS variance, ROUND(VAR_POP(amount_minor), 4) AS variance_pop
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '5' MINUTE))
WHERE event_type = 'tip.sent' AND currency <> 'XTS'
GROUP BY window_start, window_end, currency
