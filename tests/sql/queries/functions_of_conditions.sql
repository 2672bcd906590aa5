/*
title = "CASE, COALESCE, NULLIF, NVL"
keys = ["event_id"]
*/
SELECT
  window_start, window_end, event_id, COALESCE(MAX(country), MAX(currency), 'unknown') AS place,
  NULLIF(MAX(currency), 'EUR') AS foreign_currency, nvl(MAX(currency), '?') AS currency, nvl2(MAX(country), 'known', 'unknown') AS located,
  CASE WHEN MAX(amount_minor) IS NULL THEN 'none' WHEN MAX(amount_minor) < 0 THEN 'back' ELSE 'given' END AS way
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
WHERE event_type = 'tip.sent'
GROUP BY window_start, window_end, event_id
