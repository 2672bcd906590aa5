/*
title = "CAST, TRY_CAST and ::"
keys = ["user_id"]
*/
SELECT
  window_start, window_end, user_id, TRY_CAST(substr(user_id, 2) AS INT) AS number, SUM(amount_minor)::DOUBLE / 100 AS amount,
  CAST(COUNT(*) AS SMALLINT) AS small, CAST(SUM(amount_minor) AS VARCHAR) AS words, CAST(COUNT(*) > 1 AS INT) AS several,
  CAST(SUM(amount_minor) AS REAL) AS single, arrow_typeof(SUM(amount_minor)) AS type_name
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
WHERE event_type = 'tip.sent' AND currency <> 'XTS'
GROUP BY window_start, window_end, user_id
