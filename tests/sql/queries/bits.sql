/*
title = "BIT_AND, BIT_OR and BIT_XOR"
keys = ["currency"]
*/
SELECT
  window_start, window_end, currency, BIT_AND(amount_minor) AS common, BIT_OR(amount_minor) AS any_bit,
  BIT_XOR(amount_minor) AS parity, BIT_XOR(DISTINCT amount_minor) AS parity_of_each
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
WHERE event_type = 'tip.sent'
GROUP BY window_start, window_end, currency
